"""The comparison's page in a real browser: it plays, seeks, hides steps in blind mode, and asks nothing of the net."""

import functools
import http.server
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from src.compare import gathering, listening, page
from src.record import layout
from tests.compare import tiny_run
from tests.conftest import PATIENCE_S

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and "WAVENET_REQUIRE_BROWSER" not in os.environ, reason="no chromium on this machine"
    ),
]

STEPS = (20, 120, 300)
HEARD = "() => [...document.querySelectorAll('audio')].some(a => a.currentTime > 0.2)"
PLAYING = "() => [...document.querySelectorAll('audio')].filter(a => !a.paused).length"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a made-up run."""
    root = tiny_run.make(tmp_path_factory.mktemp("page") / "project", duration_s=2.0)
    compared = gathering.gather([layout.current(root)], STEPS)
    page.write(
        root / "reports", compared, made="2026-11-22T10:00:00+00:00", command="python -m src.compare", listening=None
    )
    return root / "reports"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One headless Chromium for all tests."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-background-networking", "--no-first-run", "--disable-component-update"],
        )
        yield started
        started.close()


@pytest.fixture
def opened(browser: Browser, folder: Path) -> Iterator[Page]:
    """The page opened from the disk. Afterwards: no error was logged, nothing was asked of the net."""
    yield from watched(browser, (folder / "index.html").as_uri(), folder.as_uri())


def watched(browser: Browser, address: str, home: str) -> Iterator[Page]:
    """Open a page and check, when the test is over, that it complained of nothing and loaded only what is its own."""
    context = browser.new_context(accept_downloads=True)
    context.set_default_timeout(1000 * PATIENCE_S)
    tab = context.new_page()
    complaints: list[str] = []
    foreign: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: None if request.url.startswith((home, "blob:")) else foreign.append(request.url))
    tab.on("requestfailed", lambda request: complaints.append(f"{request.url}: {request.failure}"))
    tab.goto(address)
    yield tab
    context.close()
    # A clip that is stopped while it loads ends its request early; that is no failure.
    assert [text for text in complaints if "ERR_ABORTED" not in text] == []
    assert foreign == []


def grid(tab: Page) -> Locator:
    """The grid of genres and steps (the slider below it shows the same clips)."""
    return tab.locator("#listen")


def test_a_clip_plays_and_its_picture_follows(opened: Page) -> None:
    grid(opened).get_by_role("button", name="Play rock, step 300", exact=True).click()
    opened.wait_for_function(HEARD)
    assert grid(opened).get_by_role("button", name="Pause rock, step 300", exact=True).is_visible()
    assert opened.locator("#live").text_content() == "Playing rock, step 300"
    left = (
        grid(opened)
        .get_by_role("slider", name="Position in rock, step 300", exact=True)
        .locator(".head")
        .evaluate("e => parseFloat(e.style.left)")
    )
    assert 5 < left < 100


def test_one_clip_stops_another_and_takes_its_position_over(opened: Page) -> None:
    grid(opened).get_by_role("button", name="Play rock, step 20", exact=True).click()
    opened.wait_for_function("() => [...document.querySelectorAll('audio')].some(a => a.currentTime > 0.4)")
    grid(opened).get_by_role("button", name="Play metal, step 300", exact=True).click()
    opened.wait_for_function("() => [...document.querySelectorAll('audio')].filter(a => !a.paused).length === 1")
    assert opened.locator(".playing h4").all_text_contents() == ["step 300"]
    opened.wait_for_function(
        "() => [...document.querySelectorAll('audio')].some((a) => !a.paused && a.currentTime > 0.4)"
    )


def test_a_press_on_the_picture_seeks_everywhere_and_plays(opened: Page) -> None:
    scope = grid(opened).get_by_role("slider", name="Position in hip, step 120", exact=True)
    scope.scroll_into_view_if_needed()
    box = scope.bounding_box()
    assert box is not None
    opened.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + 10)
    opened.wait_for_function(PLAYING)
    other = grid(opened).get_by_role("slider", name="Position in classical, step 20", exact=True)
    assert 1.4 <= float(other.get_attribute("aria-valuenow") or 0) <= 2.0


def test_keys_seek(opened: Page) -> None:
    scope = grid(opened).get_by_role("slider", name="Position in classical, step 20", exact=True)
    scope.focus()
    for key, expected in (
        ("ArrowRight", "0.5"),
        ("ArrowRight", "1.0"),
        ("ArrowLeft", "0.5"),
        ("End", "2.0"),
        ("Home", "0.0"),
    ):
        scope.press(key)
        assert scope.get_attribute("aria-valuenow") == expected
    assert scope.get_attribute("aria-valuetext") == "0.0 of 2.0 seconds"
    scope.press("Enter")
    opened.wait_for_function(PLAYING)


def test_all_clips_play_equally_loud(opened: Page) -> None:
    volumes = {}
    for step in (20, 300):
        grid(opened).get_by_role("button", name=f"Play rock, step {step}", exact=True).click()
        volumes[step] = opened.evaluate("() => [...document.querySelectorAll('audio')].find(a => !a.paused).volume")
    assert volumes[20] < volumes[300] <= 1


def test_the_slider_goes_through_all_steps_and_keeps_playing(opened: Page) -> None:
    slider = opened.locator("#through-step")
    assert slider.get_attribute("max") == "3"  # the run has audio of four steps, though three are compared
    player = opened.locator("#through-player")
    player.get_by_role("button").click()
    opened.wait_for_function("() => document.querySelector('#through-player audio').currentTime > 0.2")
    slider.focus()
    slider.press("End")
    assert opened.locator("#through-output").text_content() == "step 300"
    assert slider.get_attribute("aria-valuetext") == "step 300"
    opened.wait_for_function(
        """() => {
            const a = document.querySelector('#through-player audio');
            return !a.paused && a.currentTime > 0.2 && a.currentSrc.includes('300');
        }"""
    )
    assert "300" in (player.locator("img").get_attribute("src") or "")
    opened.get_by_role("radio", name="rock").check(force=True)
    opened.wait_for_function("() => document.querySelector('#through-player audio').currentSrc.includes('rock')")
    assert player.locator("h4 .what").text_content() == "rock, step 300"


def test_blind_listening_hides_the_steps_and_saves_what_compare_reads(
    opened: Page, folder: Path, tmp_path: Path
) -> None:
    opened.get_by_role("button", name="Listen blind").click()
    dialog = opened.get_by_role("dialog")
    assert dialog.is_visible()
    following = dialog.get_by_role("button", name="Next")
    assert following.is_disabled()
    for number, letter in enumerate("ABCD"):
        dialog.get_by_role("button", name=f"Play {letter}", exact=True).click()
        opened.wait_for_timeout(700)
        dialog.get_by_role("slider", name=f"Rating of {letter}").fill(str(10 * number))
    opened.wait_for_function("() => !document.querySelector('#blind-next').disabled")
    assert "step" not in dialog.locator("#blind-sounds").inner_text()
    following.click()
    assert "2 of 5" in dialog.inner_text()
    assert following.is_disabled(), "the next sounds must be heard first"
    dialog.get_by_role("button", name="Stop here").click()
    assert "Your ratings:" in dialog.inner_text()
    saved = []
    for name in ("answers.json", "again.json"):
        with opened.expect_download() as waiting:
            dialog.get_by_role("button", name="Save the ratings").click()
        waiting.value.save_as(tmp_path / name)
        saved.append(listening.load(tmp_path / name))
    (screen,) = saved[0].screens
    assert {rating.stimulus for rating in screen.ratings} == {"noise", "step-20", "step-120", "step-300"}
    assert sorted(rating.score for rating in screen.ratings) == [0, 10, 20, 30]
    assert min(rating.heard_s for rating in screen.ratings) >= 0.3
    clips = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))["runs"][0]["clips"]
    found = listening.tally(saved, [clip["sha256"] for clip in clips])
    assert (found.sittings, found.screens) == (1, 1)
    dialog.get_by_role("button", name="Close blind listening").click()
    assert not dialog.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_hangs_over_the_edge(browser: Browser, folder: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    context.set_default_timeout(1000 * PATIENCE_S)
    tab = context.new_page()
    tab.goto((folder / "index.html").as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    for details in tab.locator("details").all():
        details.evaluate("e => { e.open = true; }")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width, "with all tables open"
    cut = tab.evaluate(
        "[...document.querySelectorAll('.wide')].filter((e) => e.clientWidth && e.scrollWidth > e.clientWidth).length"
    )
    assert cut == 0 or width < 1280, "a table is cut only where the screen is narrow"
    heights = tab.evaluate("[...document.querySelectorAll('.lane:not(.scale)')].map((e) => e.offsetHeight)")
    assert max(heights) < 30, "what stands at a line's end has one line"
    paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper[4:-1].split(","))) > 380) == (scheme == "light")
    tab.get_by_role("button", name="Listen blind").click()
    assert tab.evaluate("document.querySelector('#blind').scrollWidth") <= width
    context.close()


def test_it_works_from_a_static_host_too(browser: Browser, folder: Path) -> None:
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home = f"http://127.0.0.1:{server.server_address[1]}/"
        for tab in watched(browser, home, home):
            grid(tab).get_by_role("button", name="Play hip, step 20", exact=True).click()
            tab.wait_for_function(HEARD)
            for image in tab.locator("img").all():
                image.scroll_into_view_if_needed()
            tab.wait_for_function(
                "() => [...document.querySelectorAll('img')].every(i => i.complete && i.naturalWidth > 0)"
            )
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A static host that does not write to the terminal."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def test_without_script_the_sound_is_there(browser: Browser, folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(1000 * PATIENCE_S)
    tab = context.new_page()
    tab.goto((folder / "index.html").as_uri())
    players = tab.locator("#listen audio")
    assert players.count() == len(STEPS) * len(tiny_run.GENRES)
    assert players.first.is_visible()
    assert not tab.get_by_role("button", name="Listen blind").is_visible()
    context.close()


def test_the_policy_stops_foreign_scripts_and_requests(browser: Browser, folder: Path) -> None:
    context = browser.new_context()
    context.set_default_timeout(1000 * PATIENCE_S)
    tab = context.new_page()
    tab.goto((folder / "index.html").as_uri())
    stopped = tab.evaluate(
        """() => new Promise((resolve) => {
            const found = [];
            document.addEventListener('securitypolicyviolation', (event) => {
                found.push(event.effectiveDirective);
                if (found.length === 3) resolve(found);
            });
            const script = document.createElement('script');
            script.textContent = 'window.planted = 1';
            document.body.append(script);
            const image = new Image(); image.src = 'http://127.0.0.1:9/x.png';
            fetch('http://127.0.0.1:9/').catch(() => {});
            setTimeout(() => resolve(found), 3000);
        })"""
    )
    assert sorted(stopped) == ["connect-src", "img-src", "script-src-elem"]
    assert tab.evaluate("window.planted") is None
    context.close()


def test_everything_has_a_name_for_a_screen_reader(opened: Page) -> None:
    assert opened.locator("h1").count() == 1
    nameless = opened.evaluate(
        """() => [...document.querySelectorAll('button, [role=slider], input, a')]
            .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || (e.labels && e.labels.length)))
            .map((e) => e.outerHTML)"""
    )
    assert nameless == []
    assert opened.evaluate(
        "[...document.querySelectorAll('[role=img]')].every((e) => e.getAttribute('aria-label').length > 20)"
    )
    assert opened.evaluate("document.documentElement.lang") == "en"


def test_it_is_on_the_screen_within_a_second(opened: Page) -> None:
    opened.wait_for_function("() => performance.getEntriesByType('paint').length > 0")
    assert opened.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") < 1000
