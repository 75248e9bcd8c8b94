// What the theme leaves out for readers who come by keyboard or by a link.

// A table that scrolls sideways can be reached with the keyboard.
function letTablesScroll() {
  for (const table of document.querySelectorAll("article table")) {
    if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
    else table.removeAttribute("tabindex");
  }
}

// A link into a closed solution opens it.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const closed = target?.closest(".toggle-hidden");
  if (!closed) return;
  closed.querySelector(".toggle-button")?.click();
  target.scrollIntoView();
}

// Formulas in a table make it wider, once they are typeset.
addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  letTablesScroll();
});
addEventListener("resize", letTablesScroll);
addEventListener("load", openTarget);
addEventListener("hashchange", openTarget);
