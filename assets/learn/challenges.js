/**
 * The challenges, which are the last pages of the guided path, and how attempts are judged. No page is needed here;
 * tests/components/test_challenges_js.py has a table.
 *
 * challenge   {by, goal}: an allocation is made by "lam" or by "hand"; what to get below, a name in the scene's `goals`
 * reveal      what the button says that shows the answer
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { percent, short } = NeuroAL.words;

  const one = (perplexity) => Number(perplexity.toFixed(1)); // told with one digit, so compared with one
  const told = (perplexity) => one(perplexity).toFixed(1);
  const share = (value) => `${(100 * value).toFixed(1)}\u00a0%`;

  /** Whether an attempt reaches a goal; null where it does not count, because it prunes more or less than asked. */
  const isMet = (attempt, goal) => (attempt.counts ? one(attempt.perplexity) < goal : null);

  /** Place of the best attempt that counts, by perplexity, the first of equal ones; -1 where there is none. */
  function bestOf(attempts) {
    return attempts.reduce((best, { counts, perplexity }, i) =>
      (counts && (best < 0 || perplexity < attempts[best].perplexity) ? i : best), -1);
  }

  /** What is known of a challenge while the search still goes on. */
  const endsWords = ({ dense, uniform, sparsity }) =>
    `At ${percent(sparsity).replace(" ", "\u00a0")} sparsity uniform has perplexity ${told(uniform)}, the dense model`
      + ` ${told(dense)}. The search is running; the goal follows from what it finds.`;

  /** What there is to do, in figures. `goal` is a name in `data.goals`. */
  function goalWords(data, goal) {
    const { uniform, search, gain, sparsity, dense } = data, limit = told(data.goals[goal]);
    const where = `Keep perplexity under ${limit} at ${percent(sparsity).replace(" ", "\u00a0")} sparsity.`;
    const ends = `Uniform has ${told(uniform.perplexity)}, the dense model ${told(dense)}.`;
    if (!gain) return `${where} The search's choice gains nothing at these settings: it has ${told(search.perplexity)},`
      + ` uniform ${told(uniform.perplexity)}, the dense model ${told(dense)}. So the goal is to beat uniform.`;
    if (goal === "search") return `${where} ${ends} The goal is what the search's choice has.`;
    return `${where} ${ends} The goal is two thirds of what the search's choice gains.`;
  }

  /** What became of the last attempt. */
  function attemptWords(attempt, goal, sparsity) {
    const has = `Perplexity ${told(attempt.perplexity)}`;
    if (!attempt.counts) return `${has}, but it does not count: ${share(attempt.mean)} of the weights are pruned on`
      + ` average, not ${percent(sparsity)}.`;
    return isMet(attempt, goal) ? `${has}: met, it is under ${told(goal)}.` : `${has}: not yet under ${told(goal)}.`;
  }

  /** Who won on a measure, as far as it is told: -1 the learner, 1 the search, 0 neither. */
  const side = (mine, theirs) => Math.sign(mine - theirs);
  const three = (score) => Number(score.toPrecision(3));

  /** The search's choice beside a learner's best attempt (undefined where none counts), in a sentence. */
  function verdict({ search, uniform }, attempt) {
    const choice = `The search's lambda ${search.lam.toFixed(2)}`;
    if (!attempt) return `${choice} has perplexity ${told(search.perplexity)} and score ${short(search.score)}, uniform`
      + ` ${told(uniform.perplexity)} and ${short(uniform.score)}. You have no attempt yet that counts.`;
    const perplexity = `perplexity (yours ${told(attempt.perplexity)}, the search's ${told(search.perplexity)})`;
    const score = `score (${short(attempt.score)} and ${short(search.score)})`;
    const outcome = `${side(one(attempt.perplexity), one(search.perplexity))} ${side(three(attempt.score), three(search.score))}`;
    return {
      "-1 -1": `You win on both: ${perplexity} and ${score}.`,
      "-1 0": `You win on ${perplexity}; the ${score} is the same.`,
      "-1 1": `You win on ${perplexity}; the search wins on the ${score}, which is all that it looks at.`,
      "0 -1": `Equal in ${perplexity}; you win on the ${score}.`,
      "0 0": `Equal: your best attempt is as good as the search's lambda ${search.lam.toFixed(2)} on both measures.`,
      "0 1": `Equal in ${perplexity}; the search wins on the ${score}.`,
      "1 -1": `The search wins on ${perplexity}; you win on the ${score}, so a lower score is no promise.`,
      "1 0": `The search wins on ${perplexity}; the ${score} is the same.`,
      "1 1": `The search's lambda ${search.lam.toFixed(2)} wins on both: ${perplexity} and ${score}.`,
    }[outcome];
  }

  const answer = ({ challenge }, { attempts }) => verdict(challenge, attempts[bestOf(attempts)]);

  const shared = {
    lights: ["blocks"], scenes: ["ends", "challenge"], answers: ["challenge"], figures: ["attempts", "allocations"],
    reveal: "Show the search's choice", answer,
  };
  NeuroAL.LESSONS.push(
    {
      ...shared, id: "challenge-lambda", title: "Challenge: find the lambda",
      challenge: { by: "lam", goal: "share" }, fixed: { sparsity: 0.65, pruner: "wanda" },
      text: [
        "Now you are the search. At this sparsity, find a lambda that keeps the perplexity low enough. Each attempt prunes"
        + " the model and lets it read a text it was not tuned on.",
      ],
      controls: ["lam"], question: "Which lambda does the search choose, and who did better?",
      formula: "slope", paper: "The linear block schedule of NeuroAL, section 3 (arXiv 2411.07066).",
    },
    {
      ...shared, id: "challenge-hand", title: "Challenge: draw it yourself",
      challenge: { by: "hand", goal: "share" }, fixed: { sparsity: 0.65, pruner: "wanda" },
      text: [
        "A straight line has one number. You have one for each block: draw the ratios by hand, and remember which blocks"
        + " suffered most at the same sparsity. While you move a block the others make up for it.",
      ],
      controls: [], question: "Is a free hand better than the search's straight line?",
      formula: "score", paper: "The objective that NeuroAL minimises, section 3 (arXiv 2411.07066).",
    },
    {
      ...shared, id: "challenge-hard", title: "Challenge: beat the search",
      challenge: { by: "hand", goal: "search" }, fixed: { sparsity: 0.8, pruner: "magnitude" },
      text: [
        "Harder: four of five weights go, by magnitude alone, and the goal is what the search's choice reaches. The search"
        + " looks at the score only, and the lowest score need not have the lowest perplexity.",
      ],
      controls: [], question: "Did the search choose well?",
      formula: "perplexity", paper: "Language modelling as in the experiments of NeuroAL (arXiv 2411.07066).",
    },
  );

  Object.assign(NeuroAL, { challenges: { attemptWords, bestOf, endsWords, goalWords, isMet, share, told, verdict } });
})();
