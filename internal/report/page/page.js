"use strict";
(function () {
  var doc = document, $ = function (id) { return doc.getElementById(id); };
  doc.documentElement.classList.remove("nojs");
  var doors = Array.prototype.slice.call(doc.querySelectorAll(".door"));
  var chips = Array.prototype.slice.call(doc.querySelectorAll(".chip[data-f]"));
  var q = $("q"), shown = $("shown"), none = $("none"), groups = doc.querySelectorAll(".group");
  var part = "", texts = null, wanted = { k: {}, w: {}, s: {} };

  // With a script running, browsers take what is in noscript for mere text: so
  // thousands of doors open at once, and each is built when it is looked at.
  function fill(d) {
    var n = d.querySelector("noscript");
    if (!n) return;
    var holder = doc.createElement("div");
    holder.innerHTML = n.textContent;
    d.replaceChild(holder.firstElementChild, n);
  }
  function open(d) { fill(d); d.open = true; }
  doc.addEventListener("toggle", function (e) { if (e.target.open && e.target.classList.contains("door")) fill(e.target); }, true);
  doors.forEach(function (d) { if (d.open) fill(d); });

  // A door's text is gathered at the first search.
  var entity = { "&lt;": "<", "&gt;": ">", "&amp;": "&", "&#34;": '"', "&#39;": "'", "&#43;": "+" };
  function text(i) {
    if (!texts) texts = doors.map(function (d) {
      return d.textContent.replace(/<[^>]*>/g, " ").replace(/&[#\w]+;/g, function (m) { return entity[m] || m; }).toLowerCase();
    });
    return texts[i];
  }
  function some(o) { for (var x in o) if (o[x]) return true; return false; }
  function apply() {
    var words = q.value.toLowerCase().split(/\s+/).filter(Boolean), n = 0;
    var k = some(wanted.k), w = some(wanted.w), s = some(wanted.s);
    doors.forEach(function (d, i) {
      var v = d.dataset;
      var ok = (!k || wanted.k[v.k]) && (!w || wanted.w[v.w]) && (!s || wanted.s[v.s]) &&
        (!part || (" " + v.p + " ").indexOf(" " + part + " ") >= 0) &&
        words.every(function (x) { return text(i).indexOf(x) >= 0; });
      if (d.hidden === ok) d.hidden = !ok;
      if (ok) n++;
    });
    shown.textContent = n === doors.length ? n + (n === 1 ? " door" : " doors") : n + " of " + doors.length + " doors";
    if (none) none.hidden = n > 0;
    groups.forEach(function (g) { g.hidden = !g.querySelector(".door:not([hidden])"); });
  }
  chips.forEach(function (c) {
    c.addEventListener("click", function () {
      var on = c.getAttribute("aria-pressed") !== "true";
      c.setAttribute("aria-pressed", on);
      wanted[c.dataset.f][c.dataset.v] = on;
      apply();
    });
  });
  var timer;
  q.addEventListener("input", function () { clearTimeout(timer); timer = setTimeout(apply, doors.length > 1000 ? 120 : 0); });

  function choose(p) {
    part = part === p ? "" : p;
    doc.querySelectorAll("[data-part]").forEach(function (b) {
      b.classList.toggle("on", part !== "" && b.dataset.part === part);
      if (b.hasAttribute("aria-pressed")) b.setAttribute("aria-pressed", part !== "" && b.dataset.part === part);
    });
    apply();
  }
  doc.addEventListener("click", function (e) {
    var dot = e.target.closest("[data-door]");
    if (dot) { e.preventDefault(); show(dot.dataset.door); return; }
    var b = e.target.closest("button[data-part]");
    if (b) choose(b.dataset.part);
  });
  function show(id) {
    var d = $(id);
    if (!d) return;
    if (d.hidden) reset();
    open(d);
    d.querySelector("summary").focus({ preventScroll: true });
    d.scrollIntoView({ block: "start" });
  }
  function reset() {
    q.value = ""; part = ""; wanted = { k: {}, w: {}, s: {} };
    chips.forEach(function (c) { c.setAttribute("aria-pressed", "false"); });
    doc.querySelectorAll("[data-part].on").forEach(function (b) { b.classList.remove("on"); });
    apply();
  }
  $("reset").addEventListener("click", reset);

  function move(by) {
    var list = doors.filter(function (d) { return !d.hidden; }), now = doc.activeElement && doc.activeElement.closest(".door");
    var i = list.indexOf(now) + by;
    if (now === null || list.indexOf(now) < 0) i = by > 0 ? 0 : list.length - 1;
    if (list[i]) {
      var s = list[i].querySelector("summary");
      s.focus({ preventScroll: true });
      list[i].scrollIntoView({ block: "nearest" });
      var top = list[i].getBoundingClientRect().top, bar = doc.querySelector(".bar").getBoundingClientRect();
      if (top < bar.bottom && bar.top <= 0) window.scrollBy(0, top - bar.bottom - 8);
    }
  }
  doc.addEventListener("keydown", function (e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    var typing = e.target === q;
    if (e.key === "Escape") { if (typing && !q.value) q.blur(); else reset(); return; }
    if (typing) { if (e.key === "Enter") move(1); return; }
    if (e.key === "/") { e.preventDefault(); q.focus(); q.select(); }
    else if (e.key === "j" || e.key === "n") move(1);
    else if (e.key === "k" || e.key === "p") move(-1);
    else if (e.key === "o") { var d = doc.activeElement && doc.activeElement.closest(".door"); if (d) { if (d.open) d.open = false; else open(d); } }
    else if (e.key === "u") { var c = doc.querySelector('.chip[data-v="undeclared"]'); if (c) c.click(); }
  });

  // Paper has no triangles to click: what is shown is printed with evidence.
  var opened = [];
  window.addEventListener("beforeprint", function () {
    opened = doors.filter(function (d) { return !d.hidden && !d.open; });
    opened.forEach(open);
  });
  window.addEventListener("afterprint", function () { opened.forEach(function (d) { d.open = false; }); opened = []; });

  function fromAddress() { if (/^#door-[0-9a-f]{16}$/.test(location.hash)) show(location.hash.slice(1)); }
  window.addEventListener("hashchange", fromAddress);
  apply();
  fromAddress();
})();
