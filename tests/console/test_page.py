"""The page in a browser, on an hour with two faults: find, read, command, see it happen; by keyboard, narrow, dark."""

from __future__ import annotations

import re

import msgspec
import pytest

from streams.history import incident_queries
from streams.history.batch import Batch
from streams.history.incident_queries import Filter
from tests.console.serving import OPERATOR, READER, console, until

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def running(faulty_hour, tmp_path_factory):
    with console(faulty_hour, tmp_path_factory.mktemp("page")) as found:
        yield found


@pytest.fixture
def opened(browser, running):
    """Opens a page; what it says on its console, and whom it asks, is checked at the end."""
    contexts, said, asked = [], [], set()

    def page(token=OPERATOR, **context):
        made = browser.new_context(**{"viewport": WIDE, **context})
        contexts.append(made)
        new = made.new_page()
        new.set_default_timeout(15_000)
        new.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        new.on("pageerror", lambda error: said.append(str(error)))
        new.on("request", lambda request: asked.add(request.url.split("/", 3)[2]))
        new.goto(running.url(token))
        new.wait_for_selector(".incidents a")
        return new

    yield page
    for context in contexts:
        context.close()
    assert said == []
    assert asked == {running.address.removeprefix("http://")}


def becomes(page, expression):
    """Wait until it is so.  Playwright's own way would have the page evaluate a text, which its content policy forbids."""
    until(lambda: page.evaluate(expression), 15)


def several(running):
    """An incident of several services."""
    with running.store.reading() as connection:
        items, _ = incident_queries.page(connection, Filter(), 50)
        found = [incident_queries.one(connection, item.incident_id) for item in items]
    return next(i for i in found if i is not None and len(i.services) > 1 and i.causes)


def test_an_incident_is_found_read_and_commanded(opened, running):
    page = opened()
    incident = several(running)
    page.fill("#q", incident.causes[0].service)
    becomes(page, "location.hash.includes('q=')")
    page.click(f'a[data-id="{incident.incident_id}"]')

    # Cause, first symptom and impact stand at the top, then the evidence.
    page.wait_for_selector(".three .card")
    cards = page.locator(".three .card").all_inner_texts()
    assert incident.causes[0].service in cards[0]
    assert incident.first_symptom.service in cards[1]
    assert "of requests" in cards[2]
    assert incident.causes[0].evidence[0].statement in page.inner_text("[data-section=causes]")

    # The plots have the onset in them, and services from before it.
    page.wait_for_selector("[data-section=plots] canvas")
    assert page.locator("[data-section=plots] canvas").count() >= 2
    assert "onset" in page.text_content("[data-section=timeline] svg")
    assert page.locator("[data-section=graph] canvas").count() >= 1
    assert page.locator("[data-section=members] tbody tr").count() == len(incident.members)

    # What is commanded shows at once, and the engine obeys.
    page.click('[data-key="Reopen"]')
    page.wait_for_selector('[data-state="open"]')
    page.click('[data-key="Acknowledge"]')
    page.wait_for_selector('[data-state="acknowledged"]')
    page.click('[data-key="Feedback"]')
    page.select_option("dialog select", "true")
    page.click("dialog button.main")
    page.wait_for_selector('[data-feedback="true"]')
    page.click('[data-key="Comment"]')
    page.fill("dialog textarea", "<img src=x onerror=alert(1)>")
    page.click("dialog button.main")
    page.wait_for_selector("[data-log]")

    def log():
        with running.store.reading() as connection:
            found = incident_queries.one(connection, incident.incident_id)
        return [] if found is None else [d.command for d in found.log]

    until(lambda: log() == ["reopen", "acknowledge", "feedback", "comment"])
    becomes(page, "!document.querySelector('[data-section=log]').innerText.includes('not obeyed yet')")
    assert "<img src=x onerror=alert(1)>" in page.inner_text("[data-section=log]")
    page.click(f'[data-key="reject {incident.causes[0].service} {incident.causes[0].kind}"]')
    becomes(page, "document.querySelector('[data-section=causes]').textContent.includes('rejected by ann')")


def test_a_refusal_of_the_engine_is_shown_with_its_reason(opened, running):
    page = opened()
    incident = several(running)
    page.evaluate(f"location.hash = '#/incident/{incident.incident_id}'")
    page.wait_for_selector('[data-key="Merge"]')
    page.click('[data-key="Merge"]')
    page.fill("dialog input", incident.incident_id)
    page.click("dialog button.main")
    becomes(
        page,
        "document.querySelector('[data-section=log]').innerText.includes('refused: an incident cannot be merged into itself')",
    )


def test_news_come_by_themselves(opened, running):
    page = opened()
    incident = several(running)
    row = page.locator(f'a[data-id="{incident.incident_id}"]')
    becomes(page, "document.getElementById('live').textContent === 'live'")
    newer = msgspec.structs.replace(incident, version=incident.version + 100, title="A title that nobody has seen")
    running.store.apply(Batch(incidents=[(newer, "updated")]))
    becomes(page, "document.querySelector('.incidents').innerText.includes('A title that nobody has seen')")
    assert "A title that nobody has seen" in row.inner_text()


def test_the_keyboard_is_enough(opened):
    page = opened()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    name = page.evaluate("document.activeElement.dataset.id")
    assert name
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-section=head] h1")
    assert name in page.url
    page.keyboard.press("Escape")
    page.wait_for_selector(".incidents a")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement !== document.body")


def test_it_fits_a_narrow_screen(opened, running):
    page = opened(viewport=NARROW)
    for where in ("#/", f"#/incident/{several(running).incident_id}"):
        page.evaluate(f"location.hash = '{where}'")
        page.wait_for_selector(".incidents a" if where == "#/" else "[data-section=plots] canvas")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_reader_sees_no_buttons_that_would_be_refused(opened, running):
    page = opened(token=READER)
    page.evaluate(f"location.hash = '#/incident/{several(running).incident_id}'")
    becomes(page, "document.querySelector('[data-section=actions]')?.innerText.includes('may read')")
    assert page.locator("[data-section=actions] button").count() == 0
    assert page.locator("[data-section=causes] button").count() == 0


def test_the_token_is_asked_for_and_does_not_stay_in_the_address(browser, running):
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    page.goto(running.address)
    page.wait_for_selector("#token")
    page.fill("#token", "aiops_wrongwrongwrong")
    page.click("button.main")
    page.wait_for_selector("text=not known here")
    page.fill("#token", OPERATOR)
    page.click("button.main")
    page.wait_for_selector(".incidents a")
    assert "token" not in page.url
    assert OPERATOR not in page.content()
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_axe_finds_nothing_serious(opened, running, theme, size):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python comes with the extra test-kafka"
    )
    page = opened(viewport=WIDE if size == "wide" else NARROW, color_scheme=theme, bypass_csp=True)
    incident = several(running)
    for where in ("#/", f"#/incident/{incident.incident_id}"):
        page.evaluate(f"location.hash = '{where}'")
        page.wait_for_selector(".incidents a" if where == "#/" else "[data-section=plots] canvas")
        for details in page.locator("details").all():
            details.evaluate("element => { element.open = true; }")
        found = axe.Axe().run(page).response["violations"]
        told = [
            f"{v['id']}: {v['help']}: {[n['target'] for n in v['nodes'][:3]]}"
            for v in found
            if v["impact"] in ("serious", "critical")
        ]
        assert told == []


def test_the_times_are_those_of_the_telemetry(opened):
    page = opened()
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", page.inner_text("#clock"))
