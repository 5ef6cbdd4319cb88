// The list of incidents: filters stand in the address, so that a view can be sent to somebody.

import { get } from "./api.js";
import { h, ms, percent, plural, say, span, time, when } from "./dom.js";

const STATES = { now: ["open", "acknowledged"], resolved: ["resolved"], all: [] };
const SEVERITIES = ["critical", "high", "medium", "low", "info"];
const PAGE = 50;

export function filtersOf(query) {
  const given = new URLSearchParams(query);
  return {
    show: given.get("show") in STATES ? given.get("show") : "all",
    severity: given.getAll("severity").filter((name) => SEVERITIES.includes(name)),
    q: given.get("q") ?? "",
    environment: given.get("environment") ?? "",
    service: given.get("service") ?? "",
  };
}

export function addressOf(filters) {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(filters)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one && !(name === "show" && one === "all")) given.append(name, one);
  }
  const text = given.toString();
  return text ? `#/?${text}` : "#/";
}

export class List {
  constructor(main, query, state) {
    this.main = main;
    this.filters = filtersOf(query);
    this.state = state;
    this.items = new Map();
    this.pages = 1;
    this.strip = h("div.strip", { "aria-label": "Figures", role: "group" });
    this.body = h("ul.plain.incidents", { "aria-label": "Incidents" });
    this.more = h("button", { type: "button", hidden: true, onclick: () => { this.pages += 1; this.refresh(); } }, "Show more");
    this.empty = h("p.soft", { hidden: true });
  }

  async show() {
    this.main.replaceChildren(
      h("h1.sr", {}, "Incidents"), this.#controls(), this.strip,
      h("div.card.list", {}, this.body, this.empty), this.more,
    );
    document.title = "Incidents · aiops";
    await this.refresh();
  }

  async told() {
    await this.refresh();
  }

  // Arrow keys and j, k go through the list; Enter is that of a link.
  key(event) {
    if (event.key === "/") {
      document.getElementById("q").focus();
      return true;
    }
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (!step) return false;
    const links = [...this.body.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    links[Math.min(links.length - 1, Math.max(0, at + step))]?.focus();
    return links.length > 0;
  }

  async refresh() {
    const { show, severity, q, environment, service } = this.filters;
    const query = { state: STATES[show], severity, q, environment, service };
    const items = [];
    let cursor = null;
    for (let page = 0; page < this.pages; page += 1) {
      const answer = await get("/incidents", { ...query, limit: PAGE, cursor });
      items.push(...answer.items);
      cursor = answer.next;
      if (!cursor) break;
    }
    const [figures, noise] = await Promise.all([
      get("/figures", { environment, service }), get("/noise", { environment, limit: 1000 }),
    ]);
    this.#fill(items, cursor !== null);
    this.#figures(figures, noise);
  }

  #controls() {
    const change = (more) => { location.hash = addressOf({ ...this.filters, ...more }); };
    const shown = { all: "All", now: "Open", resolved: "Resolved" };
    let typing = 0;
    const search = h("input", {
      id: "q", type: "search", placeholder: "Search titles, causes, log templates ( / )", "aria-label": "Search incidents", value: this.filters.q,
      oninput: (event) => {
        clearTimeout(typing);
        typing = setTimeout(() => {
          this.filters.q = event.target.value;
          history.replaceState(null, "", addressOf(this.filters));
          this.refresh();
        }, 250);
      },
    });
    const environments = this.state.environments ?? [];
    return h("div.filters", { role: "search" },
      h("div.row", { role: "group", "aria-label": "State" }, Object.entries(shown).map(([name, text]) =>
        h("button", { type: "button", "aria-pressed": String(this.filters.show === name), onclick: () => change({ show: name }) }, text))),
      search,
      h("select", { "aria-label": "Severity", onchange: (event) => change({ severity: event.target.value ? event.target.value.split(",") : [] }) },
        [["", "Any severity"], ["critical", "Critical"], ["critical,high", "High and above"], ["critical,high,medium", "Medium and above"]].map(([value, text]) =>
          h("option", { value, selected: this.filters.severity.join(",") === value }, text))),
      environments.length > 1 && h("select", { "aria-label": "Environment", onchange: (event) => change({ environment: event.target.value }) },
        h("option", { value: "" }, "All environments"),
        environments.map((name) => h("option", { value: name, selected: name === this.filters.environment }, name))),
      this.filters.service && h("button", { type: "button", onclick: () => change({ service: "" }) }, `Service ${this.filters.service} ×`),
    );
  }

  #fill(items, more) {
    const focused = document.activeElement?.dataset?.id;
    const known = this.items;
    this.items = new Map(items.map((item) => [item.incident_id, item.version]));
    this.body.replaceChildren(...items.map((item) => this.#row(item, known)));
    if (focused) this.body.querySelector(`a[data-id="${CSS.escape(focused)}"]`)?.focus();
    this.more.hidden = !more;
    this.empty.hidden = items.length > 0;
    const any = this.filters.q || this.filters.severity.length || this.filters.show !== "all" || this.filters.service;
    this.empty.textContent = any ? "No incident matches these filters." : "No incident so far. New ones appear here by themselves.";
    if (known.size) {
      const fresh = items.filter((item) => !known.has(item.incident_id)).length;
      if (fresh) say(`${plural(fresh, "new incident")}`);
    }
  }

  #row(item, known) {
    const over = item.state === "resolved" || item.state === "merged";
    const cause = item.cause_service
      ? `Cause: ${item.cause_service} (${item.cause_kind}, ${percent(item.confidence)} sure)`
      : "No confident cause";
    const lasted = span((item.resolved_at ? ms(item.resolved_at) : this.state.now) - ms(item.opened_at));
    const fresh = known.size > 0 && known.get(item.incident_id) !== item.version;
    return h("li", { class: `${over ? "over" : ""} ${fresh ? "fresh" : ""}` },
      h("a", { href: `#/incident/${item.incident_id}`, "data-id": item.incident_id },
        h("span", {}, h(`span.badge.${item.severity}`, {}, item.severity)),
        h("span.title", {}, item.title),
        h("span.when", {}, time(item.opened_at), ` · ${lasted}`),
        h("span.about", {}, h(`span.state.${item.state}`, {}, item.state), item.episode > 1 ? ` episode ${item.episode}` : "", ` ${cause}`,
          item.assignee ? ` · ${item.assignee}` : "", ` · ${item.environment} · ${item.opened_at.slice(0, 10)}`)));
  }

  #figures(figures, noise) {
    const open = Object.entries(figures.open_now).map(([name, n]) => `${n} ${name}`).join(", ") || "none";
    const half = (spread) => (spread.median === null ? "–" : span(1000 * spread.median));
    const cell = (name, value, title) => h("span", { title }, `${name} `, h("b", {}, value));
    this.strip.replaceChildren(
      cell("Open now:", open, "by severity"),
      cell("Detected after", half(figures.to_detect), "median from the onset to the opening"),
      cell("acknowledged after", half(figures.to_acknowledge), "median from the opening on"),
      cell("resolved after", half(figures.to_resolve), "median from the opening on"),
      noise.items.length > 0 && cell("Noise:", `${noise.totals.items.toLocaleString("en")} items → ${noise.totals.anomalies.toLocaleString("en")} anomalies → ${plural(noise.totals.incidents, "incident")}`,
        `since ${when(noise.items.at(-1).since)}`),
    );
    for (const child of [...this.strip.childNodes]) if (child.nodeType === 3) child.remove();
  }
}
