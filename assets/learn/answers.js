/**
 * What the guided path has asked the route of components/learn_route.py, and the answers: each is kept, and asked for
 * ahead where it is known that it will be wanted.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const { LESSONS, learnSettings, post, settingsFor } = NeuroAL;

  const PATH = "gradio_api/learn";
  const UNKEPT = ["speed"]; // measured anew each time

  /** What a scene is asked with on a page: {scene, settings}. */
  const questionOf = (scene, lesson, settings) => ({ scene, settings: settingsFor(scene, lesson, settings) });

  class Answers {
    constructor() { this.kept = new Map(); } // promises by question

    /** An answer; rejects with a sentence. `anew`: not one that has been given already. */
    async get(question, signal = undefined, anew = false) {
      const key = JSON.stringify(question);
      if (anew && UNKEPT.includes(question.scene)) this.kept.delete(key);
      const known = await this.kept.get(key)?.catch(() => null); // asked ahead, it may still fail
      return known ?? this.keep(key, await this.asked(question, signal));
    }

    asked(question, signal = undefined) { return post(PATH, question, { signal }); }

    /** Ask for what nobody waits for yet; where that fails, whoever wants it asks again. */
    async ahead(question) {
      const key = JSON.stringify(question);
      if (!this.kept.has(key)) this.keep(key, post(PATH, { ...question, ahead: true }));
      try {
        return await this.kept.get(key);
      } catch {
        this.kept.delete(key);
        return null;
      }
    }

    keep(key, answer) {
      this.kept.set(key, Promise.resolve(answer));
      return answer;
    }

    /** All that the page will want which a link names, as soon as this script is there: before the tab is built. */
    async linked() {
      const link = new URL(window.location).searchParams, lesson = LESSONS.find(({ id }) => id === link.get("learn"));
      const model = lesson && (await this.ahead({ scene: "model", settings: {} }));
      if (!model) return;
      const settings = learnSettings.possible(learnSettings.unlinked(link.get("set")), model);
      for (const scene of lesson.scenes)
        if (!UNKEPT.includes(scene)) this.ahead(questionOf(scene, lesson, settings));
    }
  }

  const answers = new Answers();
  answers.linked();

  Object.assign(NeuroAL, { answers, questionOf });
})();
