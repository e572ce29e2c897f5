/**
 * The player: a cursor over the log of a run, forwards and back. A run that is followed has its cursor at the end,
 * wherever that is; otherwise it stands, is put somewhere, or a clock moves it.
 */
(() => {
  "use strict";
  const NeuroAL = (window.NeuroAL = window.NeuroAL || {});
  const TOTAL_MS = 20000;
  const STEP_MS = 1500;
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

  /** The same drained slowly: as much time for each record that says something. */
  function slowSchedule(records) {
    let time = 0;
    return records.map((record) => (time += NeuroAL.isStop(record) ? STEP_MS : 0));
  }

  class Player {
    /**
     * @param {{moved: Function, changed: Function}} on `moved(passed)`: the cursor went over these records, forwards or
     *     back; `changed()`: there are more records, or it plays, follows or steps otherwise than before
     */
    constructor(on) {
      Object.assign(this, {
        on, records: [], at: 0, state: NeuroAL.emptyState(), ended: false, following: true, playing: false,
        stepping: false, speed: 1, clock: 0, times: null, timer: null,
      });
    }

    get atEnd() { return this.at >= this.records.length; }

    /** Number of the last record that is here, wherever the cursor is. */
    get last() { return this.records.at(-1)?.n ?? 0; }

    /** The state at the end of the log. */
    get final() { return this.atEnd ? this.state : NeuroAL.foldAll(this.records); }

    /** The record that the cursor stands on: the last one passed that says something; null before the first. */
    get current() { return this.records[NeuroAL.stopAt(this.records, this.at) - 1] ?? null; }

    append(records) {
      for (const record of records) this.records.push(record);
      this.times = null;
      if (this.following) this.hand(this.records.length);
      this.on.changed();
    }

    /** Nothing is to come. */
    close() {
      this.ended = true;
      this.on.changed();
    }

    /** Put the cursor behind so many records; stands still there. */
    go(to) {
      this.pause();
      this.hand(Math.max(0, Math.min(to, this.records.length)));
      this.clock = this.moment();
      this.on.changed();
    }

    /**
     * One step.
     * @param {1|-1} direction
     * @param {"block"|"candidate"} unit
     */
    step(direction, unit) { this.go(NeuroAL.nextStop(this.records, this.at, direction, unit)); }

    /** Go on; from the start again if the end of all was reached. At the end of a run that goes on: follow it. */
    play() {
      if (this.atEnd && !this.ended) return this.follow();
      if (this.atEnd) this.hand(0);
      this.following = false;
      this.clock = this.moment();
      if (!this.playing) this.timer = requestAnimationFrame((now) => { this.before = now; this.tick(now); });
      this.playing = true;
      return this.on.changed();
    }

    pause() {
      cancelAnimationFrame(this.timer);
      this.playing = this.following = false;
      this.on.changed();
    }

    restart() {
      this.go(0);
      this.play();
    }

    /** To the end, and on with it while the run goes on. */
    follow() {
      this.go(this.records.length);
      this.following = true;
      this.on.changed();
    }

    /** Play step by step, or as it went. */
    pace(stepping) {
      Object.assign(this, { stepping, times: null });
      this.clock = this.moment();
      this.on.changed();
    }

    /** The moment of the cursor on the clock. */
    moment() {
      this.times ??= (this.stepping ? slowSchedule : schedule)(this.records);
      return this.at ? this.times[this.at - 1] : 0;
    }

    tick(now) {
      if (this.times === null) this.clock = this.moment(); // the log has grown
      // A frame may come late (hidden tab): the clock stands still meanwhile instead of leaping.
      this.clock += Math.min(now - this.before, 100) * this.speed;
      this.before = now;
      let until = this.at;
      while (until < this.times.length && this.times[until] <= this.clock) until += 1;
      this.hand(until);
      if (!this.atEnd) this.timer = requestAnimationFrame((later) => this.tick(later));
      else if (this.ended) this.pause();
      else this.follow();
    }

    /** Fold up to there. Back is from the start again: ten thousand records take a few milliseconds. */
    hand(to) {
      const passed = this.records.slice(Math.min(to, this.at), Math.max(to, this.at));
      if (to < this.at) this.state = NeuroAL.foldAll(this.records.slice(0, to));
      else passed.forEach((record) => NeuroAL.fold(this.state, record));
      this.at = to;
      if (passed.length) this.on.moved(passed);
    }
  }

  Object.assign(NeuroAL, { Player, replaySchedule: schedule, stepSchedule: slowSchedule });
})();
