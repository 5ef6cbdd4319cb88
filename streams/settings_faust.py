"""Properties of librdkafka -> the broker addresses and credentials with which Faust speaks to the same cluster as the same user.

Faust knows other security settings than librdkafka.  One that it cannot honour is refused by name: to go on without it could
mean to go on without encryption.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiops.errors import UserError
from streams.settings_clients import canonical, without_secrets

if TYPE_CHECKING:
    from streams.settings import Settings

PORT = "9092"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_SECURITY = ("security.", "sasl.", "ssl.", "enable.ssl.", "enable.sasl.", "https.")
_SASL = {"sasl.mechanism", "sasl.username", "sasl.password"}
_TLS = {
    "ssl.ca.location", "ssl.ca.pem", "ssl.certificate.location", "ssl.key.location", "ssl.key.password",
    "ssl.endpoint.identification.algorithm", "enable.ssl.certificate.verification",
}  # fmt: skip
_FALSE = {"false", "f", "0"}


def broker(settings: Settings) -> tuple[list[str], Any]:
    """Broker addresses and credentials, None for a cluster without security; as ``faust.App`` takes them.

    Raises
    ------
    UserError
        A property that Faust cannot honour, or files that cannot be read.
    """
    properties = canonical(settings.kafka)
    for section in ("consumer", "producer"):
        for name in getattr(settings, section):
            if name.startswith(_SECURITY):
                raise UserError(
                    f"{section}.{name}: all clients of Faust, which runs respond, are one user; write it under kafka"
                )
    protocol = properties.get("security.protocol", "plaintext").strip().upper()
    if protocol not in {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}:
        raise UserError(f"kafka.security.protocol: {protocol!r} is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL")
    known = {"security.protocol"} | (_TLS if protocol.endswith("SSL") else set())
    known |= _SASL if protocol.startswith("SASL") else set()
    for name in properties:
        if name.startswith(_SECURITY) and name not in known:
            what = "means nothing" if name in _TLS | _SASL else "is not known to Faust, which runs respond,"
            raise UserError(f"kafka.{name} {what} with security.protocol {protocol}")
    context = _context(properties) if protocol.endswith("SSL") else None
    return _servers(properties["bootstrap.servers"]), _credentials(protocol, properties, context)


def _servers(text: str) -> list[str]:
    out = []
    for server in text.split(","):
        address = server.strip()
        if not address:
            continue
        if "://" in address or "/" in address:
            raise UserError(f"kafka.bootstrap.servers: {address!r}: host:port is expected, without a protocol")
        ends_with_port = address.rpartition("]")[2].count(":") == 1
        out.append(f"kafka://{address}" if ends_with_port else f"kafka://{address}:{PORT}")
    return out


def _credentials(protocol: str, properties: Mapping[str, str], context: ssl.SSLContext | None) -> Any:
    if protocol == "PLAINTEXT":
        return None
    import faust

    if protocol == "SSL":
        return faust.SSLCredentials(context=context)
    mechanism = properties.get("sasl.mechanism", "GSSAPI").strip().upper()
    if mechanism not in MECHANISMS:
        raise UserError(
            f"kafka.sasl.mechanism: {mechanism!r} is not known to Faust here; there are {', '.join(MECHANISMS)}"
        )
    for name in ("sasl.username", "sasl.password"):
        if not properties.get(name):
            raise UserError(f"kafka.{name} is required with security.protocol {protocol}")
    return faust.SASLCredentials(
        username=properties["sasl.username"],
        password=properties["sasl.password"],
        mechanism=mechanism,
        ssl_context=context,
    )


def _context(properties: Mapping[str, str]) -> ssl.SSLContext:
    """What librdkafka would do with the same properties."""
    ca, pem = properties.get("ssl.ca.location"), properties.get("ssl.ca.pem")
    if ca == "probe":
        ca = None  # librdkafka's word for the authorities of the system
    try:
        directory = ca is not None and Path(ca).is_dir()
        context = ssl.create_default_context(
            cafile=None if directory else ca, capath=ca if directory else None, cadata=pem
        )
    except (OSError, ValueError) as error:
        name = "ssl.ca.location" if ca is not None else "ssl.ca.pem"
        raise UserError(f"kafka.{name}: {_said(error, ca)}") from None
    identification = properties.get("ssl.endpoint.identification.algorithm", "https").strip().lower()
    if identification not in {"https", "none"}:
        raise UserError(f"kafka.ssl.endpoint.identification.algorithm: {identification!r} is none of https, none")
    context.check_hostname = identification == "https"
    if properties.get("enable.ssl.certificate.verification", "true").strip().lower() in _FALSE:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = properties.get("ssl.certificate.location"), properties.get("ssl.key.location")
    if certificate is not None:
        try:
            # An empty password instead of a question on the terminal.
            context.load_cert_chain(certificate, key, properties.get("ssl.key.password", ""))
        except (OSError, ValueError) as error:
            said = without_secrets(_said(error, f"{certificate} with the key in {key or certificate}"), properties)
            raise UserError(f"kafka.ssl.certificate.location: {said}") from None
    elif key is not None:
        raise UserError("kafka.ssl.key.location is given without ssl.certificate.location")
    return context


def _said(error: Exception, what: str | None) -> str:
    return f"{what or 'the text'}: {getattr(error, 'strerror', None) or error}"
