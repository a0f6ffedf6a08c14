"use strict";
// Sorting, filtering and ways back on top of a page that is whole without them. Nothing is fetched, and no text becomes
// anything but text.
const make = (tag, said, attributes = {}) => {
  const made = document.createElement(tag);
  made.append(said);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};
const told = make("output", "", {class: "aloud"});  // what a screen reader is told
document.querySelector("main").append(told);

const worth = (cell) => {
  const said = cell.textContent.trim().replaceAll(",", "").replace(/^</, "");
  return said === "-" || said === "" ? null : Number.isNaN(parseFloat(said)) ? said : parseFloat(said);
};
const before = (a, b) =>
  typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", {numeric: true});

for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = make("button", "", {type: "button"});
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [worth(row.cells[column]), row]);
      rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : down ? before(b, a) : before(a, b)));
      body.append(...rows.map(([, row]) => row));
      told.textContent = `Sorted by ${head.textContent}, ${head.getAttribute("aria-sort")}`;
    });
  });
}

// For each column of words a button for each word; those pressed in one column are alternatives.
for (const bar of document.querySelectorAll(".filter")) {
  const table = document.getElementById(bar.dataset.for);
  const rows = [...table.tBodies[0].rows];
  const find = make("input", "", {type: "search"});
  const named = make("label", "Find ");
  named.append(find);
  bar.append(named);
  const pressed = new Map();  // column -> words
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if (column === 0 || !head.classList.contains("l")) return;
    const words = new Map();  // word -> rows that have it
    for (const row of rows) {
      const word = row.cells[column].textContent;
      if (word !== "-") words.set(word, (words.get(word) ?? 0) + 1);
    }
    if (words.size < 2) return;
    pressed.set(column, new Set());
    const group = make("span", `${head.textContent} `, {role: "group", "aria-label": head.textContent, class: "words"});
    for (const word of [...words.keys()].sort(before)) {
      const button = make("button", `${word} (${words.get(word)})`, {type: "button", "aria-pressed": "false"});
      button.addEventListener("click", () => {
        const on = button.getAttribute("aria-pressed") === "false";
        button.setAttribute("aria-pressed", on);
        pressed.get(column)[on ? "add" : "delete"](word);
        apply();
      });
      group.append(button, " ");
    }
    bar.append(group);
  });
  const count = make("output", "");
  bar.append(count);
  const apply = () => {
    let left = 0;
    for (const row of rows) {
      const found = row.cells[0].textContent.toLowerCase().includes(find.value.toLowerCase());
      const said = [...pressed].every(([column, words]) => !words.size || words.has(row.cells[column].textContent));
      row.hidden = !(found && said);
      left += found && said;
    }
    count.textContent = `${left.toLocaleString("en")} of ${rows.length.toLocaleString("en")} shown`;
  };
  find.addEventListener("input", apply);
  apply();
  bar.hidden = false;
}

addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details:not([open]):not(.screen)")) {
    fold.open = true;
    fold.dataset.closed = "";
  }
});
addEventListener("afterprint", () => {
  for (const fold of document.querySelectorAll("details[data-closed]")) {
    fold.open = false;
    delete fold.dataset.closed;
  }
});

// A story opens by its address alone; Escape closes it, and whoever leaves it is back where it was opened.
addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector(".story:target .close")?.click();
});
const reveal = (event) => {
  const left = event && new URL(event.oldURL).hash;
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (left?.startsWith("#class-") && target?.matches("table")) target.querySelector(`a[href="${left}"]`)?.focus();
  if (target instanceof HTMLDetailsElement) target.open = true;
};
addEventListener("hashchange", reveal);
reveal();
