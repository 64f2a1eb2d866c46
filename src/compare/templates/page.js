"use strict";
// Players that stop each other and share a position, the slider through training, and blind listening.
// Nothing is fetched: all data stands in the page.
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const data = (id) => ($(id) ? JSON.parse($(id).textContent) : null);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  document.documentElement.classList.add("js");
  const live = $("#live");
  const speak = (text) => { live.textContent = text; };

  // What all players share: which one plays, where, and how loud.
  const deck = { current: null, position: 0, players: [], targetDb: -20 };

  class Player {
    // root: element with .scope, .play; clip: {label, duration, rms, audio}; audio: its <audio>.
    // shared: whether it shares its position with others.
    constructor(root, clip, audio, shared) {
      Object.assign(this, { root, audio, shared, position: 0, heard: 0 });
      this.button = $(".play", root);
      this.scope = $(".scope", root);
      this.playedPath = $(".played", root);
      this.headLine = $(".head", root);
      this.bar = $(".bar", root);
      audio.controls = false;
      this.describe(clip);
      this.button.addEventListener("click", () => this.toggle());
      this.scope.addEventListener("keydown", (event) => this.key(event));
      this.scope.addEventListener("pointerdown", (event) => this.grab(event));
      audio.addEventListener("ended", () => this.ended());
      audio.addEventListener("error", () => this.failed(), true);
      deck.players.push(this);
    }

    describe(clip) {
      this.clip = clip;
      this.scope.setAttribute("aria-valuemax", clip.duration.toFixed(1));
      this.draw();
    }

    // Put another clip in the same place; it goes on where the last one was.
    load(clip) {
      const playing = this.playing;
      this.audio.pause();
      this.audio.src = clip.audio;
      this.audio.load();
      this.describe(clip);
      if (playing) this.play();
    }

    get playing() { return deck.current === this; }
    get atSeconds() { return clamp(this.shared ? deck.position : this.position, 0, this.clip.duration); }

    toggle() { if (this.playing) this.pause(); else this.play(); }

    play() {
      if (deck.current && deck.current !== this) deck.current.pause();
      deck.current = this;
      const from = this.atSeconds >= this.clip.duration - 0.05 ? 0 : this.atSeconds;
      this.move(from);
      this.audio.volume = clamp(10 ** ((deck.targetDb - this.clip.rms) / 20), 0.01, 1);
      this.root.classList.add("playing", "moved");
      this.button.setAttribute("aria-label", `Pause ${this.clip.label}`);
      speak(`Playing ${this.clip.label}`);
      this.last = null;
      const started = this.audio.play();
      if (started) started.catch((error) => { if (error.name !== "AbortError") this.failed(); });
      requestAnimationFrame(() => this.tick());
    }

    pause() {
      this.audio.pause();
      if (deck.current === this) deck.current = null;
      this.root.classList.remove("playing");
      this.button.setAttribute("aria-label", `Play ${this.clip.label}`);
    }

    move(seconds) {
      this.position = clamp(seconds, 0, this.clip.duration);
      if (this.shared) deck.position = this.position;
      this.audio.currentTime = this.position;
      this.root.classList.add("moved");
      drawAll(this);
    }

    tick() {
      if (!this.playing) return;
      const now = this.audio.currentTime;
      if (!this.audio.seeking && this.audio.readyState >= 2) {
        if (this.last !== null && now > this.last) this.heard += Math.min(now - this.last, 0.5);
        this.last = now;
        this.position = clamp(now, 0, this.clip.duration);
        if (this.shared) deck.position = this.position;
        drawAll(this);
        if (this.onheard) this.onheard();
      }
      requestAnimationFrame(() => this.tick());
    }

    ended() {
      this.pause();
      this.position = 0;
      if (this.shared) deck.position = 0;
      drawAll(this);
    }

    failed() {
      if (!this.audio.error && this.audio.networkState !== 3) return;
      this.pause();
      speak(`${this.clip.label} cannot be played.`);
    }

    draw() {
      const share = this.clip.duration ? this.atSeconds / this.clip.duration : 0;
      if (this.playedPath) this.playedPath.style.clipPath = `inset(0 ${(100 - 100 * share).toFixed(2)}% 0 0)`;
      if (this.headLine) this.headLine.style.left = `${(100 * share).toFixed(2)}%`;
      if (this.bar) this.bar.style.width = `${(100 * share).toFixed(2)}%`;
      this.scope.setAttribute("aria-valuenow", this.atSeconds.toFixed(1));
      this.scope.setAttribute("aria-valuetext", `${this.atSeconds.toFixed(1)} of ${this.clip.duration.toFixed(1)} seconds`);
    }

    key(event) {
      const jump = { ArrowRight: 0.5, ArrowUp: 0.5, ArrowLeft: -0.5, ArrowDown: -0.5, PageUp: 2, PageDown: -2 }[event.key];
      if (jump !== undefined) this.move(this.atSeconds + jump);
      else if (event.key === "Home") this.move(0);
      else if (event.key === "End") this.move(this.clip.duration);
      else if (event.key === " " || event.key === "Enter") this.toggle();
      else return;
      event.preventDefault();
    }

    // Drag to seek; a press also starts the clip.
    grab(event) {
      if (event.button > 0) return;
      const seek = (moved) => {
        const box = this.scope.getBoundingClientRect();
        this.move(clamp((moved.clientX - box.left) / box.width, 0, 1) * this.clip.duration);
      };
      const drop = () => {
        this.scope.removeEventListener("pointermove", seek);
        this.scope.removeEventListener("pointerup", release);
        this.scope.removeEventListener("pointercancel", drop);
      };
      const release = () => { drop(); if (!this.playing) this.play(); };
      seek(event);
      try { this.scope.setPointerCapture(event.pointerId); } catch { /* the pointer is gone already */ }
      this.scope.addEventListener("pointermove", seek);
      this.scope.addEventListener("pointerup", release);
      this.scope.addEventListener("pointercancel", drop);
    }
  }

  function drawAll(from) {
    if (!from.shared) { from.draw(); return; }
    for (const player of deck.players) if (player.shared) player.draw();
    document.body.classList.toggle("live", deck.position > 0);
  }

  // The grid.
  for (const root of $$("#listen [data-player]")) {
    const set = root.dataset;
    new Player(root, { label: set.label, duration: +set.duration, rms: +set.rms }, $("audio", root), true);
  }
  // As loud as the quietest clip, but not so quiet that nothing is heard.
  deck.targetDb = Math.max(-36, Math.min(-20, ...deck.players.map((player) => player.clip.rms)));

  // The slider through training.
  const through = data("#through-data");
  if (through) {
    const range = $("#through-step");
    const root = $("#through-player article");
    const audio = $("audio", root);
    let player = null;
    const show = () => {
      const genre = through.genres[+$("input[name=through-genre]:checked").value];
      range.max = genre.clips.length - 1;
      const clip = genre.clips[+range.value];
      if (player) player.load(clip);
      else player = new Player(root, clip, audio, true);
      for (const path of $$(".wave path", root)) path.setAttribute("d", clip.outline);
      const image = $(".spectrum", root);
      if (image) image.src = clip.image;
      $("h4 .what", root).textContent = clip.label;
      $("h4 .dot", root).className = `dot tone-${clip.tone}`;
      $("#through-output").textContent = clip.heading;
      range.setAttribute("aria-valuetext", clip.heading);
      player.button.setAttribute("aria-label", `${player.playing ? "Pause" : "Play"} ${clip.label}`);
      player.scope.setAttribute("aria-label", `Position in ${clip.label}`);
    };
    show();
    range.addEventListener("input", show);
    for (const radio of $$("input[name=through-genre]")) radio.addEventListener("change", show);
    // Decode the pictures ahead, so that dragging does not flicker.
    range.addEventListener("pointerenter", () => {
      for (const genre of through.genres) for (const clip of genre.clips) new Image().src = clip.image;
    }, { once: true });
  }

  // Blind listening: a screen a genre, all its sounds in random order, each rated from 0 to 100.
  const blind = data("#blind-data");
  if (blind) {
    const dialog = $("#blind");
    const MINIMUM_S = 0.3;
    let order = [], at = 0, screens = [], began = "", id = "", sides = [];

    const below = (limit) => crypto.getRandomValues(new Uint32Array(1))[0] % limit;
    const shuffle = (items) => {
      for (let i = items.length - 1; i > 0; i -= 1) {
        const j = below(i + 1);
        [items[i], items[j]] = [items[j], items[i]];
      }
      return items;
    };
    // A random identifier; crypto.randomUUID is not there on a page from a plain http host.
    const identifier = () => {
      const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    };

    const open = () => {
      if (deck.current) deck.current.pause();
      order = shuffle([...blind.genres]);
      at = 0;
      screens = [];
      began = new Date().toISOString();
      id = identifier();
      $("#blind-ask").hidden = false;
      $("#blind-result").hidden = true;
      dialog.showModal();
      ask();
    };

    const leave = () => {
      for (const side of sides) {
        side.player.pause();
        deck.players.splice(deck.players.indexOf(side.player), 1);
      }
      sides = [];
    };

    const ask = () => {
      leave();
      const genre = order[at];
      $("#blind-count").textContent = `${at + 1} of ${order.length}`;
      $("#blind-genre").textContent = `· ${genre.name}`;
      $("#blind-sounds").replaceChildren();
      sides = shuffle([...genre.clips]).map((clip, place) => {
        const label = String.fromCharCode(65 + place);
        $("#blind-sounds").append($("#blind-sound").content.cloneNode(true));
        const root = $("#blind-sounds").lastElementChild;
        const slider = $("input", root);
        $(".play", root).textContent = label;
        $(".play", root).setAttribute("aria-label", `Play ${label}`);
        $(".scope", root).setAttribute("aria-label", `Position in ${label}`);
        $("label .quiet", root).textContent = `Rating of ${label}`;
        const player = new Player(root, { ...clip, label }, document.createElement("audio"), false);
        player.load(player.clip);
        player.onheard = ready;
        const side = { clip, player, score: null };
        slider.addEventListener("input", () => {
          side.score = +slider.value;
          $("output", root).textContent = slider.value;
          ready();
        });
        return side;
      });
      ready();
    };

    const ready = () => {
      const unheard = sides.filter((side) => side.player.heard < MINIMUM_S).length;
      const unrated = sides.filter((side) => side.score === null).length;
      $("#blind-next").disabled = unheard + unrated > 0;
      $("#blind-hint").textContent = unheard ? `${unheard} not heard yet.` : unrated ? `${unrated} not rated yet.` : "";
    };

    const next = () => {
      screens.push({
        genre: order[at].name,
        ratings: sides.map(({ clip, player, score }) => (
          { stimulus: clip.stimulus, clip: clip.digest, score, heard_s: Math.round(player.heard * 100) / 100 }
        )),
      });
      at += 1;
      if (at < order.length) {
        ask();
        sides[0].player.button.focus();
        speak(`${at + 1} of ${order.length}, ${order[at].name}`);
      } else finish();
    };

    const finish = () => {
      leave();
      $("#blind-ask").hidden = true;
      $("#blind-result").hidden = false;
      $("#blind-save").disabled = screens.length === 0;
      $("#blind-said").textContent = screens.length ? "Your ratings:" : "Nothing was rated.";
      const table = document.createElement("table");
      table.className = "numbers";
      const line = (cells, tag) => {
        const row = table.insertRow();
        for (const text of cells) {
          const cell = document.createElement(tag);
          cell.textContent = text;
          row.append(cell);
        }
      };
      const names = blind.genres[0].clips.map((clip) => clip.stimulus);
      if (screens.length) line(["genre", ...names.map((name) => name.replace("step-", "step "))], "th");
      for (const { genre, ratings } of screens) {
        line([genre, ...names.map((name) => (ratings.find((item) => item.stimulus === name) || { score: "–" }).score)], "td");
      }
      $("#blind-table").replaceChildren(table);
      $("#blind-save").focus();
    };

    const save = () => {
      const content = { kind: "listening", format: 2, id, run: blind.run, began, screens };
      const link = document.createElement("a");
      const address = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
      link.href = address;
      link.download = `listening-${began.slice(0, 19).replaceAll(":", "")}.json`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(address), 10000);
      speak("The ratings were saved.");
    };

    $("#blind-open").addEventListener("click", open);
    $("#blind-close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", leave);
    $("#blind-next").addEventListener("click", next);
    $("#blind-end").addEventListener("click", finish);
    $("#blind-save").addEventListener("click", save);
  }
})();
