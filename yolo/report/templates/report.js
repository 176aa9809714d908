"use strict";
(() => {
  const source = document.getElementById("boxes");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const byId = (id) => document.getElementById(id);
  const slider = byId("threshold");
  const names = byId("names");
  const truths = byId("truths");
  const UNITS = 100; // scores are ten-thousandths, thresholds hundredths
  const KINDS = ["wrong", "right", "neither"];
  const LETTERS = 12; // height of a name in pixels of the screen

  const make = (parent, tag, attributes, cls) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (cls) element.setAttribute("class", cls);
    return parent.appendChild(element);
  };
  const rectangles = (parent, [x, y, width, height], cls) => {
    make(parent, "rect", { x, y, width, height }, "halo");
    return make(parent, "rect", { x, y, width, height }, `box ${cls}`);
  };

  const pictures = [...document.querySelectorAll("figure.picture")].map((figure) => {
    const picture = data.pictures[Number(figure.dataset.index)];
    const svg = figure.querySelector("svg");
    const group = (cls) => make(svg, "g", {}, cls);
    const labels = [];
    const label = (parent, box, text, cls) => {
      const element = make(parent, "text", { x: box[0], y: box[1] }, cls);
      element.textContent = text;
      labels.push([element, box, cls]);
      return element;
    };
    const true_ = picture.true.map((row) => {
      const parent = group("truth");
      const ignored = Boolean(row[5]);
      const box = rectangles(parent, row, ignored ? "neither" : "hit");
      const text = label(parent, row, data.classes[row[4]], ignored ? "neither" : "missed");
      return { parent, box, text, ignored };
    });
    const found = picture.found.map((row) => ({ score: row[5], kind: row[6], of: row[7], row })).reverse();
    for (const each of found) {
      const { row } = each;
      each.parent = group("detection");
      rectangles(each.parent, row, KINDS[each.kind]);
      label(each.parent, row, `${data.classes[row[4]]} ${(row[5] / 10000).toFixed(2)}`, KINDS[each.kind]);
    }
    const arrange = () => {
      const scale = picture.span[0] / Math.max(svg.clientWidth, 1);
      const size = LETTERS * scale;
      const large = figure.classList.contains("large");
      for (const [element, [x, y, width], cls] of labels) {
        const above = y > size * 1.3;
        // A name far wider than its box would hide the neighbours; the enlarged picture has room for it.
        const wide = element.textContent.length * size * 0.6 > 3 * width;
        element.classList.toggle("crowded", wide && !large && cls === "missed");
        element.setAttribute("font-size", size.toFixed(2));
        element.setAttribute("x", Math.min(x + 2 * scale, picture.span[0] - size).toFixed(1));
        element.setAttribute("y", (above ? y - size * 0.35 : y + size * 1.1).toFixed(1));
      }
    };
    const button = figure.querySelector("button");
    button.addEventListener("click", () => {
      const large = figure.classList.toggle("large");
      button.setAttribute("aria-pressed", String(large));
      arrange();
    });
    return { found, true_, tally: figure.querySelector(".tally"), arrange };
  });

  const show = () => {
    const step = Number(slider.value);
    const least = step * UNITS;
    const [right, wrong] = [data.right[step], data.wrong[step]];
    const missed = data.true - right;
    const share = (part, whole) => (whole ? (part / whole).toFixed(3) : "–");
    const values = {
      right, wrong, missed,
      precision: share(right, right + wrong),
      recall: share(right, data.true),
      f1: share(2 * right, 2 * right + wrong + missed),
    };
    for (const [id, value] of Object.entries(values)) byId(id).textContent = value.toLocaleString("en");
    byId("chosen").textContent = (step / 100).toFixed(2);
    slider.setAttribute("aria-valuetext", (step / 100).toFixed(2));
    for (const { found, true_, tally } of pictures) {
      const counts = [0, 0, 0];
      const hit = new Set();
      for (const each of found) {
        const kept = each.score >= least;
        each.parent.classList.toggle("off", !kept);
        if (!kept) continue;
        counts[each.kind] += 1;
        if (each.of >= 0) hit.add(each.of);
      }
      let lost = 0;
      true_.forEach((each, index) => {
        const isFound = hit.has(index);
        const isMissed = !isFound && !each.ignored;
        lost += isMissed;
        each.box.setAttribute("class", `box ${each.ignored ? "neither" : isFound ? "hit" : "missed"}`);
        each.text.classList.toggle("off", isFound);
      });
      tally.textContent = `${counts[1]} right · ${counts[0]} wrong · ${lost} missed`;
    }
  };
  const showMarks = () => {
    for (const svg of document.querySelectorAll("figure.picture svg")) {
      svg.classList.toggle("nameless", !names.checked);
      svg.classList.toggle("truthless", !truths.checked);
    }
  };

  let waiting = false;
  slider.addEventListener("input", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; show(); });
  });
  names.addEventListener("change", showMarks);
  truths.addEventListener("change", showMarks);
  const arrangeAll = () => pictures.forEach(({ arrange }) => arrange());
  addEventListener("resize", arrangeAll);
  addEventListener("beforeprint", arrangeAll);
  slider.value = data.start; // some browsers restore what stood there before
  show();
  showMarks();
  arrangeAll();
})();
