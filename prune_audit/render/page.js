"use strict";
// Sorting and filtering on top of tables that are whole without it. Nothing is fetched and nothing is made of text.
const worth = (cell) => {
  const said = cell.textContent.trim().replaceAll(",", "").replace(/^</, "");
  return said === "-" || said === "" ? null : Number.isNaN(parseFloat(said)) ? said : parseFloat(said);
};
const before = (a, b) =>
  typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", {numeric: true});

for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [worth(row.cells[column]), row]);
      rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : down ? before(b, a) : before(a, b)));
      body.append(...rows.map(([, row]) => row));
    });
  });
}

for (const bar of document.querySelectorAll(".filter")) {
  const table = document.getElementById(bar.dataset.for);
  const rows = [...table.tBodies[0].rows];
  const words = [...new Set(rows.flatMap((row) => [...row.querySelectorAll(".l")].map((cell) => cell.textContent)))];
  const make = (tag, label) => {
    const named = document.createElement("label");
    const control = document.createElement(tag);
    named.append(`${label} `, control);
    bar.append(named);
    return control;
  };
  const name = make("input", "Find");
  name.type = "search";
  const verdict = make("select", "Verdict");
  verdict.append(new Option("any", ""), ...words.filter((said) => said !== "-").sort().map((said) => new Option(said, said)));
  const count = document.createElement("output");
  bar.append(count);
  const apply = () => {
    let left = 0;
    for (const row of rows) {
      const found = row.cells[0].textContent.toLowerCase().includes(name.value.toLowerCase());
      const said = !verdict.value || [...row.querySelectorAll(".l")].some((cell) => cell.textContent === verdict.value);
      row.hidden = !(found && said);
      left += found && said;
    }
    count.textContent = `${left} of ${rows.length} shown`;
  };
  name.addEventListener("input", apply);
  verdict.addEventListener("input", apply);
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
const reveal = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
};
addEventListener("hashchange", reveal);
reveal();
