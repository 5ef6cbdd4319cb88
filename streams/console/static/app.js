// Which view is shown, and what is common to all: token, live events, keys, theme.

import { follow, get, Refused, setToken, takeToken } from "./api.js";
import { h, ms, when } from "./dom.js";
import { failed, Incident } from "./incident.js";
import { List } from "./list.js";

const main = document.getElementById("main");
const state = { me: null, environments: [], now: Date.now() };
let view = null, following = false, due = 0;
const changed = new Set(); // incidents of which something was told since the view was read

function askToken(why) {
  document.title = "aiops";
  const input = h("input", { id: "token", type: "password", autocomplete: "off", required: true });
  main.replaceChildren(h("form.card", {
    onsubmit: (event) => {
      event.preventDefault();
      setToken(input.value);
      begin();
    },
  }, h("h1", {}, "Token"), why && h("p.warn", {}, why), h("p", {}, "A token of the configuration, or the one that the console printed when it began."),
  h("div.row", {}, h("label", { for: "token" }, "Token"), input, h("button.main", { type: "submit" }, "Go on"))));
  input.focus();
}

function refused(error) {
  if (error instanceof Refused && error.status === 401) askToken("This token is not known here.");
  else failed(main, error);
}

async function route() {
  view?.hide?.();
  const [path, query = ""] = location.hash.slice(1).split("?");
  const found = /^\/incident\/([A-Za-z0-9_-]{1,64})$/.exec(path);
  const mine = found ? new Incident(main, found[1], state) : new List(main, query, state);
  view = mine;
  try {
    await mine.show();
    if (found && mine === view) {
      main.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
  } catch (error) {
    if (mine === view) refused(error); // else it is about a view that was left meanwhile
  }
}

async function pipeline() {
  try {
    const { status, environments, clock } = await get("/pipeline");
    state.environments = environments;
    state.now = Math.max(ms(status.now), ms(clock));
    const place = document.getElementById("clock");
    const share = status.progress !== null && status.progress < 1 ? `, ${Math.floor(100 * status.progress)} % read` : "";
    const over = status.kind === "embedded" && status.progress === 1 ? ", all of it read" : "";
    place.textContent = status.trouble ? `stands: ${status.trouble}` : `${when(clock)}${share}${over}`;
    place.className = `clock${status.trouble ? " warn" : ""}`;
  } catch { /* the connection says so */ }
}

// Many versions come at once when a recording is read: the view is read anew at most twice a second.
function told(event, data) {
  changed.add(event === "reset" ? "" : data.incident_id);
  if (due) return;
  due = setTimeout(async () => {
    due = 0;
    const names = new Set(changed);
    changed.clear();
    try {
      await view?.told?.(names);
    } catch (error) {
      if (error instanceof Refused && error.status === 401) refused(error);
    }
  }, 400);
}

function live(on) {
  const place = document.getElementById("live");
  place.className = `live ${on ? "on" : "off"}`;
  place.textContent = on ? "live" : "not connected, trying again";
  if (on) told("reset", {});
}

async function begin() {
  try {
    state.me = await get("/me");
  } catch (error) {
    refused(error);
    return;
  }
  await pipeline();
  if (!following) {
    following = true;
    setInterval(pipeline, 3000);
    follow(told, live).then(() => { following = false; });
  }
  await route();
}

function showKeys() {
  const keys = [["/", "search"], ["j, k or arrows", "through the list"], ["Enter", "open the incident"], ["Esc", "back to the list"], ["a", "acknowledge"], ["?", "this"]];
  const dialog = h("dialog", { "aria-labelledby": "keys" }, h("h2", { id: "keys" }, "Keys"),
    h("ul.plain", {}, keys.map(([key, text]) => h("li", {}, h("span.kbd", {}, key), ` ${text}`))),
    h("p", {}, h("button", { type: "button", onclick: () => dialog.close() }, "Close")));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || document.querySelector("dialog[open]");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing) {
    if (event.key === "Escape" && event.target.tagName === "INPUT" && !document.querySelector("dialog[open]")) event.target.blur();
    return;
  }
  if (event.key === "?") showKeys();
  else if (!view?.key?.(event)) return;
  event.preventDefault();
});

const saved = localStorage.getItem("aiops-theme");
if (saved) document.documentElement.dataset.theme = saved;
document.getElementById("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("aiops-theme", document.documentElement.dataset.theme);
  route();
});
document.getElementById("help").addEventListener("click", showKeys);
window.addEventListener("hashchange", () => { if (takeTokenAgain()) return; route(); });

function takeTokenAgain() {
  if (!/^#token=/.test(location.hash)) return false;
  takeToken();
  begin();
  return true;
}

takeToken() ? begin() : askToken("");
