// One incident: what is the cause, what was seen first, whom it touches; then why that is thought, and what was decided.

import { buttons, nameCause, verdicts } from "./actions.js";
import { get } from "./api.js";
import { h, ms, number, percent, plural, span, time, toast, when } from "./dom.js";
import * as graphs from "./graph.js";
import * as plotting from "./plots.js";
import { timeline } from "./timeline.js";

const MOST_EVIDENCE = 4;

export class Incident {
  constructor(main, id, state) {
    this.main = main;
    this.id = id;
    this.state = state;
    this.sections = new Map();
    this.said = new Map();
  }

  async show() {
    for (const name of ["head", "actions", "cards", "causes", "timeline", "plots", "graph", "members", "log"]) {
      const place = h("section", { "data-section": name });
      this.sections.set(name, place);
    }
    const { head, actions, cards, causes, timeline: line, plots, graph, members, log } = Object.fromEntries(this.sections);
    actions.className = "actions row";
    this.main.replaceChildren(h("p.small", {}, h("a", { href: "#/", "data-key": "back" }, "← Incidents")), head, actions, cards, causes, line, plots, h("div.two", {}, graph, members), log);
    await this.refresh();
  }

  hide() {
    this.left = true;
    plotting.forget();
    graphs.forget();
  }

  // An empty name: anything may have changed.
  async told(names) {
    if (names.has("") || names.has(this.id)) await this.refresh();
  }

  key(event) {
    if (event.key === "Escape") {
      location.hash = "#/";
      return true;
    }
    if (event.key === "a") {
      const button = this.sections.get("actions").querySelector('[data-key="Acknowledge"]');
      button?.click();
      return Boolean(button);
    }
    return false;
  }

  async refresh() {
    const answer = await get(`/incidents/${this.id}`);
    if (this.left) return;
    this.fill(answer);
    const [series, around] = await Promise.all([get(`/incidents/${this.id}/series`), get(`/incidents/${this.id}/topology`)]);
    if (this.left) return;
    this.#section("plots", series, () => this.#plots(series));
    const blast = this.answer.incident.impact.blast_radius;
    this.#section("graph", { ...around, blast }, () => {
      const made = graphs.graph(around, blast);
      return [h("div.card", {}, h("h2", {}, "Topology"), made.elements), made.draw];
    });
  }

  fill(answer) {
    this.answer = answer;
    const { incident } = answer;
    const done = (next) => this.fill(next);
    document.title = `${incident.severity}: ${incident.title} · aiops`;
    this.#section("head", [incident, answer.waiting.length], () => [this.#head(incident, answer.waiting)]);
    this.#section("actions", [incident.state, incident.services, incident.assignee, incident.team, this.state.me], () => buttons(incident, this.state.me, this.state.now, done));
    this.#section("cards", [incident.causes[0], incident.no_confident_cause, incident.first_symptom, incident.impact, incident.severity_reason], () => [this.#cards(incident)]);
    this.#section("causes", [incident.causes, incident.changes, incident.correlation, incident.suppressed_by, incident.similar_incidents], () => [this.#causes(incident, done)]);
    this.#section("timeline", [answer.anomalies, answer.changes, incident.services, incident.resolved_at, incident.updated_at], () => [
      h("div.card.timeline", {}, h("h2", {}, "Timeline"), h("div", {}, timeline(answer, ms(incident.resolved_at ?? incident.updated_at)))),
    ]);
    this.#section("members", [incident.members, incident.counts], () => [this.#members(incident)]);
    this.#section("log", [incident.log, answer.versions.length, incident.feedback], () => [this.#log(incident, answer.versions)]);
  }

  // A section is written anew only when what it shows is another; what was opened or focused in it stays so.
  #section(name, shown, make) {
    const said = JSON.stringify(shown);
    if (this.said.get(name) === said) return;
    this.said.set(name, said);
    const place = this.sections.get(name);
    const open = new Set([...place.querySelectorAll("details[open]")].map((details) => details.dataset.key));
    const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const parts = make().filter(Boolean);
    place.replaceChildren(...parts.filter((part) => typeof part !== "function"));
    for (const details of place.querySelectorAll("details")) if (open.has(details.dataset.key)) details.open = true;
    if (focused) (place.querySelector(`[data-key="${CSS.escape(focused)}"]`) ?? place.querySelector("button"))?.focus();
    for (const part of parts) if (typeof part === "function") part();
  }

  #head(incident, waiting) {
    const lasted = span(ms(incident.resolved_at ?? incident.updated_at) - ms(incident.onset_at));
    const fact = (name, value) => value && h("span", {}, h("span.soft", {}, `${name} `), value);
    return h("div", {},
      h("div.row", {}, h(`span.badge.${incident.severity}`, {}, incident.severity), h(`span.state.${incident.state}`, { "data-state": incident.state }, incident.state),
        incident.flapping && h("span.state", {}, "flapping"), !incident.settled && incident.state !== "resolved" && h("span.soft.small", {}, "causes may still change"),
        waiting.length > 0 && h("span.soft.small", {}, `${plural(waiting.length, "command")} sent, not obeyed yet`)),
      h("h1", {}, incident.title),
      h("div.row.small", {},
        fact("Onset", time(incident.onset_at, true)), fact("opened", time(incident.opened_at)), fact(incident.resolved_at ? "lasted" : "so far", lasted),
        fact("in", incident.environment), fact("episode", incident.episode > 1 ? String(incident.episode) : null), fact("assigned to", incident.assignee),
        fact("team", incident.team), fact("acknowledged by", incident.acknowledged_by),
        incident.merged_into && fact("merged into", h("a", { href: `#/incident/${incident.merged_into}` }, incident.merged_into.slice(0, 8))),
        incident.split_from && fact("split from", h("a", { href: `#/incident/${incident.split_from}` }, incident.split_from.slice(0, 8))),
        fact("id", h("code", {}, incident.incident_id))),
      h("details", { "data-key": "summary" }, h("summary", {}, "In one paragraph"), h("p", {}, incident.summary)),
      incident.resolution && h("p", {}, h("span.soft", {}, "Resolution: "), incident.resolution),
      incident.suppressed_by.map((quiet) => h("p.warn.small", {}, `Not notified: ${quiet.reason} (${quiet.by}${quiet.author ? `, by ${quiet.author}` : ""}${quiet.until ? `, until ${when(quiet.until)}` : ""})`)));
  }

  #cards(incident) {
    const [first] = incident.causes;
    const cause = !first || incident.no_confident_cause
      ? [h("p", {}, h("b", {}, "No confident cause.")), first && h("p.soft", {}, `Likeliest: ${first.service} (${first.kind}), ${percent(first.confidence)}`)]
      : [h("p", {}, h("b", {}, first.service), ` (${first.kind})`), h("p", {}, first.summary),
        h("p.soft", {}, first.verdict ? `${first.verdict} by ${first.verdict_by}` : `A hypothesis: ${percent(first.confidence)} sure`)];
    const symptom = incident.first_symptom;
    const { impact } = incident;
    const affected = impact.requests_affected_ratio;
    return h("div.three", {},
      h("div.card", {}, h("h2", {}, "Cause"), cause),
      h("div.card", {}, h("h2", {}, "First symptom"), symptom
        ? [h("p", {}, h("b", {}, symptom.service), " at ", time(symptom.at)), h("p", {}, symptom.signal)] : h("p.soft", {}, "None was seen.")),
      h("div.card", {}, h("h2", {}, "Impact"),
        h("p", {}, affected === null ? "Share of requests affected is not known." : [h("b", {}, percent(affected)), " of requests failed in the worst minute."]),
        h("p", {}, impact.felt.length ? `Felt by ${impact.felt.join(", ")}.` : "Felt by no other service so far."),
        impact.services.length > impact.felt.length && h("p.soft", {}, `May be felt by ${impact.services.filter((name) => !impact.felt.includes(name)).join(", ")}.`),
        incident.severity_reason && h("p.soft.small", {}, incident.severity_reason)));
  }

  #causes(incident, done) {
    const evidence = (found) => h("li", { class: found.weight < 0 ? "against" : "" }, found.weight < 0 ? "against: " : "", found.statement,
      found.onset && [" (", time(found.onset), ")"]);
    const listed = incident.causes.map((cause) => h("li", {},
      h("div.row", {}, h("b", {}, `${cause.rank}. ${cause.service}`), h("span.soft", {}, cause.kind),
        h("span", {}, h("meter.meter", { min: 0, max: 1, value: cause.confidence, "aria-label": `Confidence of ${cause.service}` }), ` ${percent(cause.confidence)}`),
        cause.verdict && h("span.state", {}, `${cause.verdict} by ${cause.verdict_by}`), verdicts(incident, cause, this.state.me, done)),
      h("p", {}, cause.summary),
      h("ul.evidence", {}, cause.evidence.slice(0, MOST_EVIDENCE).map(evidence)),
      cause.evidence.length > MOST_EVIDENCE && h("details", { "data-key": `evidence ${cause.rank}` }, h("summary", {}, plural(cause.evidence.length - MOST_EVIDENCE, "more observation")),
        h("ul.evidence", {}, cause.evidence.slice(MOST_EVIDENCE).map(evidence))),
      cause.caveats.length > 0 && h("p.small.soft", {}, `But: ${cause.caveats.join("; ")}`)));
    const first = listed.slice(0, 3), rest = listed.slice(3);
    return h("div.two", {},
      h("div.card", {}, h("div.row", {}, h("h2", {}, "Hypotheses"), nameCause(incident, this.state.me, done)),
        listed.length ? h("ol.plain.causes", {}, first) : h("p.soft", {}, "None."),
        rest.length > 0 && h("details", { "data-key": "more causes" }, h("summary", {}, plural(rest.length, "less likely one")), h("ol.plain.causes", {}, rest))),
      h("div.card", {},
        h("h2", {}, "Changes nearby"),
        incident.changes.length ? h("ul.evidence", {}, incident.changes.map((change) => h("li", {}, `${change.summary || change.change_id}: ${change.reason}`))) : h("p.soft", {}, "None that could have to do with it."),
        h("h2", {}, "Why these signals are one incident"),
        incident.correlation.reasons.length ? h("ul.evidence", {}, incident.correlation.reasons.map((reason) => h("li", {}, reason.statement))) : h("p.soft", {}, "It is one service."),
        h("h2", {}, "Similar incidents"),
        incident.similar_incidents.length ? h("ul.evidence", {}, incident.similar_incidents.map((past) => h("li", {},
          h("a", { href: `#/incident/${past.incident_id}` }, past.title ?? past.incident_id), ` (${percent(past.score)}; ${past.reason ?? ""})`,
          past.resolution && ` Ended by: ${past.resolution}`))) : h("p.soft", {}, "None is known.")));
  }

  #plots(series) {
    plotting.forget();
    const made = plotting.plots(series);
    const none = !made.signals.length && !made.services.length;
    return [h("div.card", {},
      h("h2", {}, "Plots"),
      h("p.small.soft", {}, "Red line: onset. Green dashes: changes. Signals are known from the moment they deviate; shaded: what was expected."),
      none && h("p.soft", {}, "Nothing is kept that could be plotted."),
      h("div.plots", {}, made.signals.slice(0, 4), made.services.slice(0, 4)),
      made.signals.length + made.services.length > 8 && h("details", { "data-key": "more plots" }, h("summary", {}, "More plots"),
        h("div.plots", {}, made.signals.slice(4), made.services.slice(4)))),
    made.draw];
  }

  #members(incident) {
    const { counts } = incident;
    const told = [plural(counts.anomalies, "anomaly", "anomalies"), plural(counts.signals, "signal")];
    if (counts.alerts) told.push(plural(counts.alerts, "alert"));
    if (counts.suppressed) told.push(`${counts.suppressed} counted, not shown`);
    if (incident.members_truncated) told.push(`${incident.members_truncated} not listed`);
    return h("div.card", {}, h("h2", {}, "Members"), h("p.small.soft", {}, told.join(", ")),
      h("div.scroll", { tabindex: "0", role: "region", "aria-label": "Members" }, h("table", {},
        h("thead", {}, h("tr", {}, ["Service", "Signal", "Since", "State"].map((name) => h("th", { scope: "col" }, name)), h("th.num", { scope: "col", title: "-log10 of a tail probability" }, "Score"))),
        h("tbody", {}, incident.members.map((member) => h("tr", {}, h("td", {}, member.service), h("td", {}, member.signal), h("td", {}, time(member.onset)),
          h("td", {}, member.state), h("td.num", {}, number(member.score))))))));
  }

  #log(incident, versions) {
    const feedback = incident.feedback;
    return h("div.card", {}, h("h2", {}, "Decisions"),
      feedback && h("p", { "data-feedback": feedback.verdict }, `Feedback of ${feedback.author}: ${feedback.verdict.replace("_", " ")}${feedback.text ? `, ${feedback.text}` : ""}`),
      incident.log.length ? h("ul.evidence", { "data-log": incident.log.length }, incident.log.map((decision) => h("li", { class: decision.refused ? "against" : "" },
        time(decision.time), ` ${decision.author}: ${decision.command}${decision.asked ? ` (${decision.asked})` : ""} → ${decision.refused ? "refused: " : ""}${decision.effect}`)))
        : h("p.soft", {}, "Nobody has decided anything."),
      h("details", { "data-key": "versions" }, h("summary", {}, plural(versions.length, "version")),
        h("ul.evidence", {}, versions.map((version) => h("li", {}, time(version.at), ` ${version.kind}: ${version.severity}, ${version.title}`)))));
  }
}

export function failed(main, error) {
  main.replaceChildren(h("div.card", {}, h("h1", {}, "This cannot be shown"), h("p", {}, error.message), h("p", {}, h("a", { href: "#/" }, "To the list"))));
  toast(error.message);
}
