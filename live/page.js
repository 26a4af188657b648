import { certify } from "./certificate.js";
import { Circle } from "./circle.js";
import { climb } from "./climb.js";
import { least } from "./diracs.js";
import { Falling } from "./falling.js";
import { fall, velocity } from "./flow.js";
import { Needles } from "./needles.js";
import { Planes } from "./planes.js";
import { PRESETS } from "./presets.js";
import { solve } from "./solve.js";
import { Solver } from "./solver.js";
import { LivePlan } from "./view.js";

const PICTURES = { "": LivePlan, falling: Falling, planes: Planes, needles: Needles, circle: Circle };

/** Solve while nobody waits, so that the first drag finds compiled code. */
function warmUp(left = 30) {
  const idle = window.requestIdleCallback ?? ((run) => setTimeout(run, 30));
  const [, x, y] = PRESETS.clouds;
  const moved = x.map(([s, t], k) => [s + 0.01 * left * Math.cos(k), t]);
  solve(moved, y, null, null, [Infinity, 2, 1.3][left % 3]);
  if (left > 1) idle(() => warmUp(left - 1));
}

/** Fill an element with the picture that its mark names. */
function fill(root) {
  const { swrefLive, preset, p, t } = root.dataset;
  root.replaceChildren();
  root.classList.add("swl");
  new PICTURES[swrefLive](root, { preset, p: p && Number(p), t: t && Number(t) });
}

window.swref = { solve, certify, Solver, fall, velocity, climb, least };
const roots = [...document.querySelectorAll("[data-swref-live]")];
roots.forEach(fill);
if (roots.some(({ dataset }) => dataset.swrefLive === "")) (window.requestIdleCallback ?? setTimeout)(() => warmUp());
