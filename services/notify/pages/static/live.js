// Keeps a list of alerts as it is in the store. Without this script a reload does the same.

const region = document.getElementById("alerts");

if (region !== null && "EventSource" in window) {
  keepUp(region);
}

function keepUp(list) {
  let shown = list;
  let source = null;
  let fetching = false;
  let wanted = shown.dataset.standing;

  function open() {
    if (source === null) {
      source = new EventSource(shown.dataset.live);
      source.addEventListener("standing", (event) => {
        wanted = JSON.parse(event.data).standing;
        catchUp();
      });
    }
  }

  // A browser gives each site few connections: a window that nobody looks at gives its own back.
  function close() {
    if (source !== null) {
      source.close();
      source = null;
    }
  }

  async function catchUp() {
    if (fetching || wanted === shown.dataset.standing) {
      return;
    }
    fetching = true;
    const asked = wanted;
    try {
      const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("alerts");
      if (fresh === null) {
        close(); // signed out meanwhile
        return;
      }
      replace(fresh);
    } catch {
      close(); // no connection: the next look at this window opens it again
      return;
    } finally {
      fetching = false;
    }
    if (wanted !== asked) {
      catchUp(); // something else has happened meanwhile
    }
  }

  function replace(fresh) {
    const news = wordsOf(shown, fresh);
    const focused = shown.contains(document.activeElement) ? document.activeElement.id : null;
    const chosen = new Set([...shown.querySelectorAll("input:checked")].map((box) => box.id));
    const selected = new Map([...shown.querySelectorAll("select")].map((field) => [field.id, field.value]));
    const node = document.importNode(fresh, true);
    for (const box of node.querySelectorAll("input[type=checkbox]")) {
      box.checked = chosen.has(box.id);
    }
    for (const field of node.querySelectorAll("select")) {
      field.value = selected.get(field.id) ?? field.value;
    }
    shown.replaceWith(node);
    shown = node;
    if (focused !== null) {
      // Where somebody was may be gone with its alert: then they are at the list, and not at the page's top.
      (document.getElementById(focused) ?? node).focus({ preventScroll: true });
    }
    const place = document.getElementById("news");
    if (place !== null) {
      place.textContent = news;
    }
  }

  function ids(of) {
    return [...of.querySelectorAll("[data-alert]")].map((card) => card.dataset.alert).join();
  }

  // By how many there are in all: what leaves a full page may only have moved to the next one.
  function wordsOf(before, after) {
    const more = Number(after.dataset.total) - Number(before.dataset.total);
    if (more > 0 && after.dataset.state === "open") {
      return `${more} new ${more === 1 ? "alert" : "alerts"}`;
    }
    if (more < 0 && after.dataset.state === "open") {
      return `${-more} no longer to do`;
    }
    return ids(before) === ids(after) ? "" : "The list has changed";
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  open();
}
