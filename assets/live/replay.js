/** Replaying a finished log: all records are there, a clock hands them out in about twenty seconds. */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const TOTAL_MS = 20000;
  // A gap longer than this many typical ones (loading a model) is cut to it: nothing is seen to move meanwhile.
  const LONGEST_GAP = 10;

  /** The moment of each record on the replay's own clock, in milliseconds: order and rhythm kept, long gaps cut. */
  function schedule(records) {
    const gaps = records.map((record, i) => (i ? Math.max(0, record.t - records[i - 1].t) : 0));
    const typical = gaps.filter((gap) => gap > 0).sort((a, b) => a - b);
    const longest = typical.length ? LONGEST_GAP * typical[Math.floor(typical.length / 2)] : 0;
    let time = 0;
    const times = gaps.map((gap) => (time += Math.min(gap, longest)));
    return times.map((moment) => (time > 0 ? (TOTAL_MS * moment) / time : 0));
  }

  class Replay {
    /**
     * @param {object[]} records the whole log
     * @param {{reset: Function, records: Function, changed: Function}} on callbacks; `changed`: playing or not
     */
    constructor(records, on) {
      Object.assign(this, { records, on, times: schedule(records), speed: 1, playing: false, timer: null });
      this.rewind();
    }

    get atEnd() { return this.next >= this.records.length; }

    rewind() {
      this.next = 0;
      this.clock = 0;
      this.on.reset();
    }

    /** Go on; from the start again if the end was reached. */
    play() {
      if (this.atEnd) this.rewind();
      if (!this.playing) this.timer = requestAnimationFrame((now) => { this.last = now; this.tick(now); });
      this.playing = true;
      this.on.changed();
    }

    pause() {
      cancelAnimationFrame(this.timer);
      this.playing = false;
      this.on.changed();
    }

    restart() {
      this.rewind();
      this.play();
    }

    /** Show the end state at once. */
    end() {
      this.hand(this.records.length);
      this.pause();
    }

    tick(now) {
      // A frame may come late (hidden tab): the clock stands still meanwhile instead of leaping.
      this.clock += Math.min(now - this.last, 100) * this.speed;
      this.last = now;
      let until = this.next;
      while (until < this.times.length && this.times[until] <= this.clock) until += 1;
      this.hand(until);
      if (this.atEnd) this.pause();
      else this.timer = requestAnimationFrame((later) => this.tick(later));
    }

    hand(until) {
      if (until > this.next) this.on.records(this.records.slice(this.next, until));
      this.next = until;
    }
  }

  Object.assign(NeuroAL, { Replay, replaySchedule: schedule });
})();
