/**
 * What nobody sees costs nothing: a card draws its plot once it is in the window or not far from it, and then what is the
 * newest by then: on a phone no plot of five before one scrolls.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});

  // So that a plot is there before it is scrolled to.
  const NEAR = "500px 0px";

  /** @param {{node: HTMLElement, near: boolean, show: Function}[]} cards `show` draws what waits */
  function drawWhenNear(cards) {
    const of = new Map(cards.map((card) => [card.node, card]));
    const watcher = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const card = of.get(target);
        card.near = isIntersecting;
        if (isIntersecting) card.show();
      }
    }, { rootMargin: NEAR });
    for (const node of of.keys()) watcher.observe(node);
    window.addEventListener("beforeprint", () => cards.forEach((card) => card.show()));
  }

  NeuroAL.drawWhenNear = drawWhenNear;
})();
