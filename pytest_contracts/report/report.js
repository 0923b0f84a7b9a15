"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // -- theme: the system's until a reader chooses another ------------------------------------
  const theme = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = () => { try { return localStorage.getItem("contracts-theme"); } catch { return null; } };
  const keep = (name) => { try { localStorage.setItem("contracts-theme", name); } catch { /* file:// may refuse */ } };
  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const label = () => { theme.textContent = isDark() ? "Light theme" : "Dark theme"; };
  if (["dark", "light"].includes(stored())) root.dataset.theme = stored();
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    keep(root.dataset.theme);
    label();
  });
  system.addEventListener("change", label);
  theme.hidden = false;
  label();

  // -- filter and search --------------------------------------------------------------------
  const form = document.querySelector(".tools");
  const search = byId("search");
  const choices = { verdict: byId("verdict"), kind: byId("kind"), contract: byId("contract") };
  const claims = all(".claim");
  const contracts = all(".contract");
  const rows = all(".overview tbody tr");
  const verified = new Set(["HELD", "CONFIRMED", "EVIDENCED"]);
  const texts = new Map();
  const textOf = (claim) => {
    if (!texts.has(claim)) texts.set(claim, claim.textContent.toLowerCase().replace(/\s+/g, " "));
    return texts.get(claim);
  };
  const matchesVerdict = (claim, wanted) => {
    const verdicts = claim.dataset.verdicts.split(" ");
    if (wanted === "*") return verdicts.some((verdict) => !verified.has(verdict));
    return !wanted || verdicts.includes(wanted);
  };

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const { verdict, kind, contract } = choices;
    let shown = 0;
    for (const claim of claims) {
      const fits =
        matchesVerdict(claim, verdict.value) &&
        (!kind.value || claim.dataset.kind === kind.value) &&
        (!contract.value || claim.dataset.contract === contract.value) &&
        words.every((word) => textOf(claim).includes(word));
      claim.hidden = !fits;
      shown += fits;
    }
    const visible = new Set();
    for (const section of contracts) {
      section.hidden = !section.querySelector(".claim:not([hidden])");
      if (!section.hidden) visible.add(section.id);
    }
    for (const row of rows) row.classList.toggle("dim", !visible.has(row.dataset.contract));
    byId("nothing").hidden = shown > 0;
    byId("shown").textContent = `${shown} of ${claims.length} claims`;
  };

  if (form && claims.length) {
    form.hidden = false;
    for (const kind of ["input", "change"]) form.addEventListener(kind, filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(filter));
    filter();
  }

  // -- links to a claim or a contract -------------------------------------------------------
  const follow = () => {
    let id = "";
    try { id = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    const target = id && byId(id);
    if (!target || !target.matches(".claim, .contract")) return;
    if (target.hidden || target.closest("[hidden]")) { form.reset(); filter(); }
    if (target.matches(".claim")) target.open = true;
    target.scrollIntoView();
    (target.matches(".claim") ? target.querySelector("summary") : target).focus({ preventScroll: true });
  };
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (link && link.getAttribute("href") === location.hash) setTimeout(follow);
  });
  follow();
  // The browser's own jump comes when the page has loaded, and would take the focus away.
  addEventListener("load", () => setTimeout(follow));

  // -- keys: "/" searches, Escape clears ----------------------------------------------------
  addEventListener("keydown", (event) => {
    const typing = event.target.matches?.("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && event.target === search) {
      search.value = "";
      filter();
    }
  });

  // -- copying the line that reproduces an item ---------------------------------------------
  for (const button of all(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = button.parentElement.querySelector("pre");
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(source);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  // -- print everything that the filter shows, unfolded -------------------------------------
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    for (const details of folded) details.open = true;
  });
  addEventListener("afterprint", () => { for (const details of folded) details.open = false; });
})();
