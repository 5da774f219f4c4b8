// Keeps the page as the sidecar is: sections that changed come over one stream of events, times are counted down here.
"use strict";

let ahead = 0; // seconds by which the sidecar's clock is ahead of the browser's

function left(seconds) {
  if (seconds <= 0) return "expired";
  const units = [["h", 3600], ["min", 60], ["s", 1]];
  let rest = Math.floor(seconds);
  const parts = [];
  for (const [unit, length] of units) {
    const count = Math.floor(rest / length);
    rest -= count * length;
    if (count > 0 || (unit === "s" && parts.length === 0)) parts.push(`${count} ${unit}`);
  }
  return parts.slice(0, 2).join(" ");
}

function count() {
  const now = Date.now() / 1000 + ahead;
  for (const element of document.querySelectorAll("[data-until], [data-since]")) {
    const { until, since } = element.dataset;
    const text = since === undefined ? left(Number(until) - now) : left(Math.max(now - Number(since), 1));
    if (element.textContent !== text) element.textContent = text;
  }
}

function tell(text, good) {
  const link = document.getElementById("link");
  if (link.textContent === text) return;
  link.textContent = text;
  link.className = good ? "" : "bad";
}

function listen() {
  const events = new EventSource("/status/events");
  events.addEventListener("message", (message) => {
    const news = JSON.parse(message.data);
    ahead = news.now - Date.now() / 1000;
    for (const [id, markup] of Object.entries(news.sections)) {
      const section = document.getElementById(id);
      const scrolled = [...section.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
      const focused = [...section.querySelectorAll(".scroll")].indexOf(document.activeElement);
      section.innerHTML = markup; // made and escaped by the sidecar
      section.querySelectorAll(".scroll").forEach((box, place) => {
        box.scrollLeft = scrolled[place] ?? 0;
        if (place === focused) box.focus({ preventScroll: true });
      });
    }
    count();
    tell("Live.", true);
  });
  events.addEventListener("error", () => tell("The sidecar does not answer; what is shown is old.", false));
}

listen();
count();
setInterval(count, 1000);
