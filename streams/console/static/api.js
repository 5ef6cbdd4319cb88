// The API with the token of this tab, and the stream of events that goes on after the last one seen.

const KEY = "aiops-token";
let token = sessionStorage.getItem(KEY) ?? "";

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

// A token comes behind the # of the address, which no server is ever sent, and does not stay in it.
export function takeToken() {
  const found = /(?:^#|&)token=([A-Za-z0-9_-]+)/.exec(location.hash);
  if (found) {
    setToken(found[1]);
    history.replaceState(null, "", "#/");
  }
  return token !== "";
}

export function setToken(text) {
  token = text.trim();
  sessionStorage.setItem(KEY, token);
}

async function ask(path, options = {}) {
  const headers = { Authorization: `Bearer ${token}`, ...options.headers };
  let answer;
  try {
    answer = await fetch(`api/v1${path}`, { ...options, headers, credentials: "omit", redirect: "error" });
  } catch {
    throw new Refused(0, "no answer from the server");
  }
  if (answer.ok) return answer;
  let detail = answer.statusText;
  try {
    detail = (await answer.json()).detail ?? detail;
  } catch { /* an answer of something in between */ }
  throw new Refused(answer.status, detail);
}

export async function get(path, query = {}) {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== "" && one !== null && one !== undefined) given.append(name, one);
  }
  const text = given.toString();
  return (await ask(text ? `${path}?${text}` : path)).json();
}

export async function command(incident, name, given = {}) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ command: name, arguments: given }) };
  return (await ask(`/incidents/${incident}/commands`, options)).json();
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// Calls told(event, data) for every event, state(true | false) as the connection comes and goes; ends when the token counts no more.
export async function follow(told, state) {
  let last = "";
  for (;;) {
    try {
      const answer = await ask("/events", { headers: last ? { "Last-Event-ID": last } : {} });
      state(true);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const parts = (rest + value).split("\n\n");
        rest = parts.pop();
        for (const part of parts) {
          let event = "message", data = "";
          for (const line of part.split("\n")) {
            if (line.startsWith("id: ")) last = line.slice(4);
            else if (line.startsWith("event: ")) event = line.slice(7);
            else if (line.startsWith("data: ")) data += line.slice(6);
          }
          if (data) told(event, JSON.parse(data));
        }
      }
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return;
    }
    state(false);
    await pause(2000);
  }
}
