// Signals with what was expected of them, and services with their requests and evidence; the onset and changes are lines.

import { h, ms, number } from "./dom.js";

const HEIGHT = 150;
const MOST_EVIDENCE = 10; // evidence is capped at 8 by the engine
const made = new Set();

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function forget() {
  for (const plot of made) plot.destroy();
  made.clear();
}

function lines(onset, changes) {
  return (u) => {
    const { ctx, bbox } = u;
    const line = (at, stroke, dash) => {
      const x = Math.round(u.valToPos(at, "x", true));
      if (x < bbox.left || x > bbox.left + bbox.width) return;
      ctx.save();
      ctx.strokeStyle = stroke;
      ctx.lineWidth = 2 * devicePixelRatio;
      ctx.setLineDash(dash);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.restore();
    };
    line(onset / 1000, colour("--bad"), []);
    for (const change of changes) line(ms(change.time) / 1000, colour("--good"), [6, 4]);
  };
}

function draw(place, data, series, marks, { range, scales = {}, axes = [], bands = [] }) {
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
  const plot = new window.uPlot({
    width: Math.max(240, place.clientWidth || 480), height: HEIGHT,
    tzDate: (at) => window.uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    scales: { x: { time: true, range }, ...scales },
    axes: [{ ...axis, values: "{HH}:{mm}" }, { ...axis, size: 56, values: (_, values) => values.map(number) }, ...axes.map((more) => ({ ...axis, ...more }))],
    series: [{ label: "time", value: "{HH}:{mm}:{ss}" }, ...series],
    bands, cursor: { drag: { x: false, y: false } }, hooks: { draw: [marks] },
  }, data, place);
  made.add(plot);
  new ResizeObserver(() => plot.setSize({ width: Math.max(240, place.clientWidth), height: HEIGHT })).observe(place);
}

const line = (label, stroke, more = {}) => ({ label, stroke, width: 2, points: { show: false }, value: (_, value) => number(value), ...more });

// Elements; `draw` is to be called when they have their place on the page.
export function plots(answer) {
  const range = [ms(answer.since) / 1000, ms(answer.until) / 1000];
  const marks = lines(ms(answer.onset), answer.changes);
  const waiting = [];
  const plot = (title, words, prepare) => {
    const place = h("div.plot", {}, h("h3", {}, title), words && h("p.small.soft", {}, words));
    waiting.push(() => prepare(place));
    return place;
  };
  const signals = answer.signals.filter((signal) => signal.points.length > 0).map((signal) =>
    plot(`${signal.service}: ${signal.signal}`, signal.statement, (place) => {
      const { points } = signal;
      const column = (name) => points.map((point) => point[name]);
      const bounded = points.some((point) => point.lower !== null && point.upper !== null);
      const data = [points.map((point) => ms(point.at) / 1000), column("observed"), column("expected")];
      const series = [
        line("observed", colour("--bad"), { points: { show: true, size: 5 } }),
        line("expected", colour("--accent"), { dash: [4, 4], points: { show: points.length < 3, size: 4 } }),
      ];
      if (bounded) {
        data.push(column("upper"), column("lower"));
        series.push(line("upper", colour("--accent"), { width: 1 }), line("lower", colour("--accent"), { width: 1 }));
      }
      draw(place, data, series, marks, { range, bands: bounded ? [{ series: [3, 4], fill: colour("--band") }] : [] });
    }));
  const services = answer.services.filter((of) => of.at.length > 1).map((of) =>
    plot(`${of.service}: requests a minute, and how strong the evidence is`, null, (place) => {
      const strongest = of.at.map((_, i) => Math.max(0, ...Object.values(of.terms).map((values) => values[i])));
      const series = [
        line("requests", colour("--accent")), line("failed", colour("--bad"), { width: 1 }),
        line("evidence", colour("--good"), { scale: "e", width: 1.5 }),
      ];
      const scales = { y: { range: (_u, _low, high) => [0, Math.max(1, high * 1.1)] }, e: { range: [0, MOST_EVIDENCE] } };
      draw(place, [of.at, of.requests, of.failed, strongest], series, marks, { range, scales, axes: [{ scale: "e", side: 1, size: 36, grid: { show: false } }] });
    }));
  return { signals, services, draw: () => { for (const run of waiting) run(); } };
}
