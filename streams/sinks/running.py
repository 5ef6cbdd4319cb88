"""Settings -> the role that tells people, until it is told to stop."""

from __future__ import annotations

import logging
from functools import partial

from confluent_kafka import KafkaException

from aiops.errors import UserError
from streams import log_format
from streams.acls import admit
from streams.health import Health, Server, somebody_owns
from streams.metrics import Metrics
from streams.past import ReadError
from streams.progress import WorkerError
from streams.sender import DeliveryError
from streams.settings import Settings
from streams.settings_clients import client_error
from streams.sinks.couriers import Couriers
from streams.sinks.following import Following
from streams.sinks.role import Kept, SinksRole
from streams.worker import Worker

log = logging.getLogger(__name__)

ROLE = "sinks"


def run(settings: Settings, from_beginning: bool = False, dry_run: bool = False) -> int:
    """Run it; returns the exit status.

    Raises
    ------
    UserError
        There is nobody to tell, topics are missing, the broker does not answer, a property is wrong.
    """
    if not settings.notify.sinks:
        raise UserError("notify.sinks names nobody to tell (docs/notifications.md)")
    log_format.set_up(ROLE, settings.logging.format, settings.logging.level)
    health = Health(Metrics(ROLE, settings.engine_config().digest()))
    server = Server(health, settings.http.host, settings.http.port)
    server.start()
    try:
        admit(settings, ROLE)
        return _work(settings, health, from_beginning, dry_run)
    finally:
        server.stop()


def _work(settings: Settings, health: Health, from_beginning: bool, dry_run: bool) -> int:
    group = settings.group(ROLE)
    consumer = settings.consumer_properties(group)
    with client_error(consumer):
        following = Following(
            settings.consumer_properties(f"{group}-status"), settings.topic("status"), settings.topic("notices")
        )
    couriers = Couriers(settings.notify.sinks, following.alive, dry_run)
    role = SinksRole(
        settings.notify, settings.topic("incidents"), settings.topic("snapshots.sinks"), settings.topic("notifications"),
        group, settings.consumer_properties(f"{group}-snapshots"), couriers, following, from_beginning,
    )  # fmt: skip
    with client_error(consumer):
        worker: Worker[Kept] = Worker(role, consumer, settings.producer_properties(), observer=health)
    worker.handle_signals()
    health.follow(lambda: worker.looped)
    health.watch(partial(somebody_owns, settings.admin_properties(), group))
    couriers.start()
    log.info("running", extra={"group": group, "sinks": [*couriers.of]})
    try:
        worker.run()
    except (WorkerError, DeliveryError, ReadError) as error:
        log.error("%s", error)
        return 1
    except KafkaException as error:
        log.error("kafka: %s", error.args[0].str())
        return 1
    finally:
        couriers.stop()
        following.close()
    log.info("stopped")
    return 0
