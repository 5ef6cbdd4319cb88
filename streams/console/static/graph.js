// The services around an incident as a graph, and the same as a table for those who do not see it.

import { h, number, percent } from "./dom.js";

const ROLES = { cause: "first cause", member: "takes part", felt: "feels it", may_feel: "may feel it", near: "near" };
let shown = null;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function forget() {
  shown?.destroy();
  shown = null;
}

export function graph(answer, blast) {
  const place = h("div.graph", { role: "img", "aria-label": "Graph of the services; the table below says the same" });
  const present = new Set(answer.services.map((service) => service.role));
  const key = Object.entries(ROLES).filter(([role]) => present.has(role)).map(([role, text]) => h("span", {}, h(`span.keyed.${role}`), text));
  const table = h("details", { "data-key": "graph table" }, h("summary", {}, `As a table: ${answer.services.length} services, ${answer.edges.length} calls`),
    h("div.scroll", { tabindex: "0", role: "region", "aria-label": "Services around the incident" }, h("table", {},
      h("thead", {}, h("tr", {}, ["Service", "Role", "Calls", "Requests a minute", "Failing"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, answer.services.map((service) => h("tr", {},
        h("th", { scope: "row" }, service.service), h("td", {}, ROLES[service.role]),
        h("td", {}, answer.edges.filter((edge) => edge.caller === service.service).map((edge) => edge.callee).join(", ") || "–"),
        h("td.num", {}, number(service.requests_per_minute)), h("td.num", {}, percent(service.error_ratio))))))));
  return {
    elements: [
      h("p", {}, blast === 0 ? "Nobody calls the first cause." : `Blast radius: ${blast} services call the first cause, directly or not.`),
      h("p.small.row", {}, key), place, answer.not_listed > 0 && h("p.soft", {}, `${answer.not_listed} more are not shown.`), table,
    ],
    draw: () => draw(place, answer),
  };
}

function draw(place, answer) {
  forget();
  const text = colour("--text"), soft = colour("--soft");
  const dot = (role, fill, shape = "ellipse") => ({ selector: `node[role="${role}"]`, style: { "background-color": fill, shape } });
  shown = window.cytoscape({
    container: place,
    elements: [
      ...answer.services.map((service) => ({ data: { id: service.service, role: service.role } })),
      ...answer.edges.map((edge) => ({ data: { id: `${edge.caller} > ${edge.callee}`, source: edge.caller, target: edge.callee } })),
    ],
    style: [
      { selector: "node", style: { label: "data(id)", color: text, "font-size": 11, "text-valign": "bottom", "text-margin-y": 3, width: 22, height: 22,
        "border-width": 1, "border-color": soft, "background-color": "#8a93a3" } },
      dot("cause", "#c2274b", "rectangle"), dot("member", "#c26a12"), dot("felt", "#b59a00"), dot("may_feel", "#6c8ebf"), dot("near", "#8a93a3"),
      { selector: "edge", style: { width: 1.4, "line-color": soft, "target-arrow-color": soft, "target-arrow-shape": "triangle", "curve-style": "bezier", opacity: 0.7 } },
    ],
    layout: { name: "breadthfirst", directed: true, spacingFactor: 1.1, padding: 18, animate: false },
    userZoomingEnabled: false, minZoom: 0.2, maxZoom: 2.5,
  });
}
