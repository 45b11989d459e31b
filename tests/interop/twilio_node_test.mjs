// Holds the plugin's signatures to those of Twilio's node library (npm: twilio), on generated requests.
//
// Three ways for each request: theirs signed and ours accepts, ours signed and theirs accepts, altered and both reject. Forms
// have repeated names, in which this library is the model.
// Usage: node twilio_node_test.mjs TWILIO_INTEROP TWILIO.so [SEED]. Exit status: 0 all agree, 1 not.
import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import process from "node:process";
import twilio from "twilio";

const COUNT = 300; // of each kind of direction
const SEED = 20261120;
const FORM = "application/x-www-form-urlencoded";
const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS = "0123456789";

// mulberry32: the same numbers everywhere for the same seed.
function makeRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const seed = Number(process.argv[4] ?? SEED);
const random = makeRandom(seed);
const between = (low, high) => low + Math.floor(random() * (high - low + 1));
const choose = (list) => list[between(0, list.length - 1)];
const text = (alphabet, low, high) => Array.from({ length: between(low, high) }, () => choose([...alphabet])).join("");

// Without characters beyond U+FFFF in names and repeated values: node sorts those by UTF-16, Twilio by code points.
function makeName() {
  return text(LETTERS, 1, 8) + choose(["", "", "_1", ".x", "é", "漢", " ", "%41", "[]"]);
}

function makeValue(repeated) {
  return choose([
    () => "",
    () => "+1415555" + text(DIGITS, 4, 4),
    () => text(" \t+&=%<>\"'\r\n\0", 1, 8),
    () => text(LETTERS + DIGITS + " ", 1, 40),
    () => text(repeated ? "äß€漢" : "äß€漢字\u0000\ufffd\ue000\u{1f600}\u{10fffd}", 1, 10),
    () => text(LETTERS + DIGITS + " !#$()*,-./:;?@[\\]^_`{|}~", 100, 400),
  ])();
}

// {name: value or a list of values}
function makeParameters() {
  const parameters = {};
  for (let i = choose([0, 1, 2, 5, 20, 40]); i > 0; --i) {
    const values = Array.from({ length: between(2, 4) }, () => makeValue(true));
    parameters[makeName()] = random() < 0.3 ? [...values, ...(random() < 0.5 ? [values[0]] : [])] : makeValue(false);
  }
  return parameters;
}

function encode(parameters) {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  pairs.sort(() => random() - 0.5);
  if (random() < 0.5) return new URLSearchParams(pairs).toString();
  return pairs.map((pair) => pair.map(encodeURIComponent).join("=")).join("&");
}

function makeUrl() {
  const host = choose(["hooks.example.org", "Hooks.Example.ORG", "192.0.2.7", "a-b.c.example", "[2001:db8::7]"]);
  const port = choose(["", "", ":443", ":80", ":8443", ":65535"]);
  let path = Array.from({ length: between(1, 4) }, () => "/" + text(LETTERS + DIGITS + "-._~!$&'()*+,=:@;", 1, 10)).join("");
  path += choose(["", "", "/", "%20x", "%C3%A9", "//a"]);
  const parts = Array.from({ length: choose([0, 0, 1, 3]) }, () =>
    text(LETTERS, 1, 5) + choose(["", "=", "=a+b", "=%2B", "=c%20d", "='x'", "=?/:@"]));
  return choose(["https", "https", "http"]) + "://" + host + port + path + (parts.length ? "?" + parts.join("&") : "");
}

// A request as the gateway gets it, and what their library is told of it: `params`.
function makeRequest() {
  const token = text("0123456789abcdefABCDEF", 1, 40);
  let url = makeUrl();
  const kind = choose(["form", "form", "form", "json", "url", "get"]);
  if (kind === "form") {
    const params = makeParameters();
    const content_type = choose([FORM, FORM + "; charset=UTF-8", FORM.toUpperCase()]);
    return { token, url, content_type, body: encode(params), params };
  }
  if (kind === "json") {
    const body = JSON.stringify(makeParameters());
    url += (url.includes("?") ? "&" : "?") + "bodySHA256=" + createHash("sha256").update(body).digest("hex");
    return { token, url, content_type: "application/json", body, params: null };
  }
  return { token, url, body: "", params: {}, ...(kind === "get" ? { method: "GET" } : {}) };
}

const PORT = /^(\w+:\/\/(?:\[[^\]]*\]|[^/?:]+))(:\d+)?/;

// One of the ways in which the provider may have signed it: as it is, without its port, with the default one.
function signedUrl(url) {
  const [whole, origin, port] = PORT.exec(url);
  const other = port ? origin : origin + (url.startsWith("https") ? ":443" : ":80");
  return choose([url, other + url.slice(whole.length)]);
}

// The same with one thing altered, under the old signature.
function alter(request) {
  const altered = { ...request };
  const names = request.params ? Object.keys(request.params) : [];
  const choices = ["signature", "url", "token"];
  if (names.length) choices.push("value", "added", "removed");
  if (request.params === null) choices.push("body", "body");
  const what = choose(choices);
  if (what === "signature") {
    const at = between(0, 26);
    const other = [...(LETTERS + DIGITS + "+/")].filter((c) => c !== request.signature[at]);
    altered.signature = request.signature.slice(0, at) + choose(other) + request.signature.slice(at + 1);
  } else if (what === "url") {
    altered.url = request.url.replace(/(\?|$)/, "x$1");
  } else if (what === "token") {
    altered.token += "0";
  } else if (what === "body") {
    altered.body += " ";
  } else {
    const params = { ...request.params };
    const name = choose(names);
    if (what === "value") params[name] = [params[name]].flat().concat("one more");
    else if (what === "removed") delete params[name];
    else params[name + "x" + names.length] = "1";
    Object.assign(altered, { params, body: encode(params), content_type: FORM });
  }
  return { request: altered, what };
}

function fail(why) {
  console.error("FAILED: " + why);
  process.exit(1);
}

function ask(requests) {
  const [program, ...rest] = process.argv.slice(2, 4);
  const lines = requests.map(({ params, ...line }) => JSON.stringify(line) + "\n").join("");
  const done = spawnSync(program, rest, { input: lines, maxBuffer: 1 << 26 });
  if (done.error || done.status !== 0) fail(`${program}: ${done.error ?? done.stderr}`);
  const answers = String(done.stdout).trim().split("\n").map((line) => JSON.parse(line));
  if (answers.length !== requests.length) fail(`${program} answered ${answers.length} of ${requests.length} lines`);
  return answers;
}

function theySign(request) {
  return twilio.getExpectedTwilioSignature(request.token, signedUrl(request.url), request.params ?? {});
}
function theyAccept({ token, signature, url, params, body }) {
  if (params === null) return twilio.validateRequestWithBody(token, signature, url, body);
  return twilio.validateRequest(token, signature, url, params);
}

console.log(`seed ${seed}`);
const faults = [];
function expect(wanted, got, who, request) {
  if (wanted !== got) faults.push(`${who} should ${wanted ? "accept" : "reject"}: ${JSON.stringify(request)}`);
}

const theirs = Array.from({ length: COUNT }, makeRequest);
for (const request of theirs) request.signature = theySign(request);
ask(theirs).forEach((answer, i) => expect(true, answer.accepted, "ours", theirs[i]));

const ours = Array.from({ length: COUNT }, makeRequest);
ask(ours).forEach((answer, i) => {
  ours[i].signature = answer.signature;
  expect(true, theyAccept(ours[i]), "theirs", ours[i]);
});

const altered = [...theirs, ...ours].map(alter);
ask(altered.map((one) => one.request)).forEach((answer, i) => {
  expect(false, answer.accepted, `ours (${altered[i].what} altered)`, altered[i].request);
  expect(false, theyAccept(altered[i].request), `theirs (${altered[i].what} altered)`, altered[i].request);
});

const kinds = [...new Set(altered.map((one) => one.what))].sort();
if (kinds.length !== 7) faults.push(`not every alteration was made: ${kinds}`);
for (const fault of faults.slice(0, 20)) console.log(fault);
const made = `${COUNT} signed by theirs, ${COUNT} by ours, ${altered.length} altered (${kinds.join(", ")})`;
console.log(`${made}: ${faults.length} faults`);
process.exit(faults.length ? 1 : 0);
