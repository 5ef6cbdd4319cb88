// Members by service on one axis of time, with changes, the onset, the opening and the end.

import { clock, ms, s } from "./dom.js";

const LANE = 22, TOP = 44, LEFT = 150, WIDTH = 1000, MOST = 24;

export function timeline(answer, until) {
  const { incident, changes, anomalies } = answer;
  const lanes = new Map();
  const first = incident.causes.map((cause) => cause.service);
  for (const service of [...first, ...incident.services]) if (incident.services.includes(service)) lanes.set(service, []);
  for (const anomaly of anomalies) {
    if (!lanes.has(anomaly.service)) lanes.set(anomaly.service, []);
    lanes.get(anomaly.service).push(anomaly);
  }
  const names = [...lanes.keys()].slice(0, MOST);
  const near = changes.filter((change) => lanes.has(change.service));
  const onset = ms(incident.onset_at);
  const moments = [onset, ...near.map((change) => ms(change.time)).filter((at) => at > onset - 1800e3), ...anomalies.map((a) => ms(a.onset))];
  const begin = Math.min(...moments) - 60e3;
  const end = Math.max(until, onset + 120e3) + 30e3;
  const x = (at) => LEFT + ((Math.min(Math.max(at, begin), end) - begin) / (end - begin)) * (WIDTH - LEFT - 12);
  const height = TOP + names.length * LANE + 22;
  const root = s("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": words(incident, names, near) });
  const step = [60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400].find((n) => (end - begin) / 1000 / n <= 9) ?? 86400;
  for (let at = Math.ceil(begin / 1000 / step) * step * 1000; at < end; at += step * 1000) {
    root.append(
      s("line", { x1: x(at), x2: x(at), y1: TOP - 6, y2: height - 18, class: "grid" }),
      s("text", { x: x(at), y: height - 4, "text-anchor": "middle", class: "axis" }, clock(new Date(at).toISOString()).slice(0, step < 60 ? 8 : 5)));
  }
  names.forEach((name, lane) => {
    const y = TOP + lane * LANE;
    root.append(
      s("text", { x: LEFT - 8, y: y + 15, "text-anchor": "end" }, name.length > 20 ? `${name.slice(0, 19)}…` : name),
      s("line", { x1: LEFT, x2: WIDTH - 12, y1: y + LANE, y2: y + LANE, class: "lane" }));
    const sorted = lanes.get(name).sort((a, b) => ms(a.onset) - ms(b.onset));
    sorted.forEach((anomaly, i) => {
      const from = x(ms(anomaly.onset)), to = x(anomaly.state === "closed" ? ms(anomaly.window.end) : until);
      const thick = Math.max(2.5, Math.min(12, (LANE - 6) / sorted.length));
      root.append(s("rect", { x: from, y: y + 3 + Math.min(i * thick, LANE - 6 - thick), width: Math.max(3, to - from), height: thick - 0.8, rx: 1.5, class: `bar ${anomaly.kind}` },
        s("title", {}, `${anomaly.signal}: ${anomaly.statement}`)));
    });
  });
  near.forEach((change) => {
    const at = ms(change.time), y = TOP + names.indexOf(change.service) * LANE;
    root.append(
      s("line", { x1: x(at), x2: x(at), y1: Math.max(TOP - 6, y), y2: y + LANE, class: "change" }),
      s("text", { x: x(at) + 3, y: y + 14, class: "flag" }, `▲ ${change.kind}`, s("title", {}, `${change.time}: ${change.summary}`)));
  });
  const marks = [["onset", incident.onset_at, 12], ["opened", incident.opened_at, 26], ["resolved", incident.resolved_at, 12]];
  for (const [name, text, y] of marks) {
    if (!text) continue;
    const right = x(ms(text)) > WIDTH - 130;
    root.append(
      s("line", { x1: x(ms(text)), x2: x(ms(text)), y1: y + 2, y2: height - 18, class: "mark" }),
      s("text", { x: x(ms(text)) + (right ? -3 : 3), y, class: "marked", "text-anchor": right ? "end" : "start" }, `${name} ${clock(text)}`));
  }
  return root;
}

function words(incident, names, changes) {
  const told = changes.map((change) => `${change.kind} of ${change.service} at ${clock(change.time)}`).join(", ");
  return `Timeline of ${names.length} services from ${clock(incident.onset_at)} on${told ? `; changes: ${told}` : ""}. The members are in a table below.`;
}
