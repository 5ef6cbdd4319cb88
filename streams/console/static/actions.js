// What a person may do to an incident: buttons and dialogs; what is commanded shows at once, as the API answers it.

import { command, Refused } from "./api.js";
import { h, say, toast } from "./dom.js";

const CAUSE_KINDS = ["resource", "network", "code", "dependency", "change", "external", "unknown"];

async function send(incident, name, given, done) {
  try {
    const answer = await command(incident.incident_id, name, given);
    say(`${name}: sent`);
    done(answer);
    return true;
  } catch (error) {
    toast(error instanceof Refused ? `${name}: ${error.message}` : String(error));
    return false;
  }
}

// fields: [name, label, kind, more]; kind: text, area, a list of [value, text], or checks: a list of values of which some are chosen.
function ask(title, fields, verb, act) {
  const inputs = new Map();
  const rows = fields.map(([name, label, kind, more = {}]) => {
    if (kind === "checks") {
      const boxes = more.of.map((value) => h("input", { type: "checkbox", value, id: `check-${value}`, class: "inline" }));
      inputs.set(name, () => boxes.filter((box) => box.checked).map((box) => box.value).join(","));
      return h("fieldset", {}, h("legend", {}, label), boxes.map((box) => h("div.row", {}, box, h("label", { for: box.id }, box.value))));
    }
    const input = Array.isArray(kind)
      ? h("select", {}, kind.map(([value, text]) => h("option", { value }, text)))
      : h(kind === "area" ? "textarea" : "input", { maxlength: 2000, ...more });
    inputs.set(name, () => input.value.trim());
    return h("label", {}, label, input);
  });
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" },
    h("form", {
      onsubmit: async (event) => {
        event.preventDefault();
        const given = {};
        for (const [name, value] of inputs) if (value()) given[name] = value();
        if (await act(given)) dialog.close();
      },
    },
    h("h2", { id: "dialog-title" }, title), rows,
    h("div.row", {}, h("button.main", { type: "submit" }, verb), h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

export function buttons(incident, me, now, done) {
  const over = incident.state === "resolved" || incident.state === "merged";
  if (me.role !== "operator") return [h("span.soft", {}, `${me.name} may read, not command.`)];
  const act = (name) => (given) => send(incident, name, given, done);
  const button = (text, run, more = {}) => h("button", { type: "button", "data-key": text, onclick: run, ...more }, text);
  return [
    !over && incident.state !== "acknowledged" && button("Acknowledge", () => act("acknowledge")({}), { class: "main", "aria-keyshortcuts": "a" }),
    !over && button("Resolve", () => ask("Resolve", [["resolution", "What resolved it", "area"]], "Resolve", act("resolve"))),
    incident.state === "resolved" && button("Reopen", () => act("reopen")({})),
    button("Assign", () => ask("Assign", [
      ["assignee", "To whom", "text", { value: incident.assignee ?? me.name }], ["team", "Team", "text", { value: incident.team ?? "" }],
    ], "Assign", act("assign"))),
    button("Comment", () => ask("Comment", [["text", "Line for its log", "area", { required: true }]], "Write", act("comment"))),
    button("Silence", () => ask("Keep from notifying", [
      ["for", "For how long", [["1h", "1 hour"], ["4h", "4 hours"], ["1d", "1 day"], ["7d", "7 days"]]], ["reason", "Why", "text"],
    ], "Silence", act("silence"))),
    incident.state !== "merged" && button("Merge", () => ask("It is part of another incident", [
      ["into", "Id of the other incident", "text", { required: true, pattern: "[0-9a-f]{32}", title: "32 hexadecimal digits" }],
    ], "Merge", act("merge"))),
    !over && incident.services.length > 1 && button("Split", () => ask("These services are an incident of their own",
      [["services", "Services that leave", "checks", { of: incident.services }]], "Split", act("split"))),
    button("Feedback", () => ask("Was it a problem?", [
      ["verdict", "Verdict", [["true", "Yes, a problem"], ["expected", "Expected"], ["false", "No, a false alarm"], ["new_trend", "A new normal"]]],
      ["text", "Why", "area"],
    ], "Send", act("feedback"))),
  ];
}

export function verdicts(incident, cause, me, done) {
  if (me.role !== "operator") return [];
  const given = { service: cause.service, kind: cause.kind };
  return [
    h("button.tiny", { type: "button", "data-key": `confirm ${cause.service} ${cause.kind}`, "aria-label": `Confirm ${cause.service} as the cause`,
      onclick: () => send(incident, "confirm", given, done) }, "Confirm"),
    h("button.tiny", { type: "button", "data-key": `reject ${cause.service} ${cause.kind}`, "aria-label": `Reject ${cause.service} as the cause`,
      onclick: () => send(incident, "reject", given, done) }, "Reject"),
  ];
}

export function nameCause(incident, me, done) {
  if (me.role !== "operator") return null;
  return h("button.tiny", { type: "button", "data-key": "name cause", onclick: () => ask("Name the cause", [
    ["service", "Service", "text", { required: true }], ["kind", "Kind", [["", "Any"], ...CAUSE_KINDS.map((kind) => [kind, kind])]],
  ], "Confirm", (given) => send(incident, "confirm", given, done)) }, "It is another service");
}
