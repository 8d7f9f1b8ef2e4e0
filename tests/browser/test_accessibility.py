"""Every view of every tab, for everybody: axe-core finds nothing serious, and a phone's width holds it all."""

from __future__ import annotations

from axe_playwright_python.base import AXE_SCRIPT
from suite_browser import wait_until_warm

# What a tab's views are called, and an element of each that is there once the view is whole.
VIEWS = {
    "Map": {
        "the VAE": ".spot .where:has-text('z₁ = ')",
        "VAE and autoencoder": ".twins[data-limit] .twin-where:has-text('z = (')",
        "Faces": ".faces-view[data-seed] .factor-grid[data-axes]",
    },
    "Samples": {
        "one model": ".sheet img[src^=data]",
        "all side by side": ".row-of[data-seed]",
        "breed": ".breed-children button:last-child canvas",
        "directions": ".directions-pairs canvas",
        "loop": ".loop-film[src^=data]",
    },
    "Classes": {None: "img.number[src^=data]"},
    "Real or fake?": {
        "Game": ".game-near .found figure",
        "Side by side": ".near .found figure",
        "Numbers": ".numbers-table td",
    },
    "Training": {
        "Live": ".live-stage[aria-label*=step]",
        "Replay": ".replay-film[aria-label*=step]",
        "By heart?": ".memory-rows canvas",
    },
}
# Views of no model in particular: all others say where theirs comes from.
OF_NO_MODEL = ("Live", "Numbers")
# Impacts of axe-core's findings that shut somebody out, and what it is asked for at each width of the window and theme:
# everything, what colours can change, and what the room can change.
GRAVE = ("serious", "critical")
RULES = {
    (1280, "light"): {},
    (1280, "dark"): {"runOnly": ["color-contrast", "link-in-text-block"]},
    (390, "light"): {"runOnly": ["scrollable-region-focusable"]},
}
# Pictures that a screen reader has no words for.
UNNAMED = "[role=img]:not([aria-label], [aria-labelledby]), img:not([alt])"


def open_view(page, tab_name: str, view: str | None):
    """Show a view and wait until its pictures are there; those that are still on their way have names, too."""
    page.get_by_role("tab", name=tab_name).click()
    tab = page.locator("[role=tabpanel] .suite-widget:visible")
    if view is not None:
        tab.locator(".views").get_by_role("button", name=view, exact=True).click()
    assert tab.locator(UNNAMED).count() == 0
    if view == "Game":
        # The training images beside it come with a guess.
        tab.get_by_role("button", name="Real").click()
    tab.locator(VIEWS[tab_name][view]).first.wait_for()
    if view == "all side by side":
        tab.locator("summary").click()
    if view not in OF_NO_MODEL:
        tab.locator(".sources:visible a").first.wait_for()
    return tab


def grave_findings(page, width: int, theme: str) -> list[str]:
    """What axe-core finds on the page in this form, in words."""
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=theme)
    page.wait_for_function("dark => document.body.classList.contains('dark') === dark", arg=theme == "dark")
    # Colours change gradually, on a busy machine for longer than they should.
    page.wait_for_timeout(300)
    page.wait_for_function("!document.getAnimations().some(change => change instanceof CSSTransition)")
    options = {"resultTypes": ["violations"], **RULES[width, theme]}
    violations = page.evaluate("options => axe.run(options).then(results => results.violations)", options)
    found = ["wider than the window"] if page.evaluate("document.documentElement.scrollWidth") > width else []
    return found + [
        f"{violation['id']}: {violation['help']}: {node['html'][:200]} {node['failureSummary']}"
        for violation in violations
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
    ]


def test_every_view_can_be_used_by_everybody(open_page):
    page = open_page(theme="system")
    wait_until_warm(page)
    page.evaluate(AXE_SCRIPT)
    # Gradio's own components, under all tabs.
    bulk = page.locator("#bulk")
    bulk.get_by_role("button").first.click()
    bulk.get_by_role("spinbutton").first.fill("4")
    bulk.get_by_role("button", name="Draw").click()
    bulk.locator("textarea").wait_for()
    assert "make_image_grid(" in bulk.locator("textarea").input_value()
    found = {}
    for tab_name, views in VIEWS.items():
        for view in views:
            tab = open_view(page, tab_name, view)
            found |= {(tab_name, view, *form): grave_findings(page, *form) for form in RULES}
        shown = tab.locator(".views button").all_inner_texts()
        assert set(shown) == set(views) - {None}, "a view is not looked at here, or is gone"
    assert {where: findings for where, findings in found.items() if findings} == {}
