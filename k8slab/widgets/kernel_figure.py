"""The one plotly FigureWidget of a kernel.

It carries nearly 5 MB of script and is not freed when it is closed (measured with plotly 6 and 7), so every
graph uses the same one again. Its script takes seconds to load, and what is sent before that is lost; so
nothing is sent until the figure's own view has spoken, and a page that loads again is given the data of now.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from k8slab.widgets.drawer import Drawer

_DEFAULT_EXPORT = re.compile(r"([\w$]+) as default\s*\}")
# plotly's view leaves its handlers behind when it is taken away. The first of them then throws, and those of
# the view that came after it are never called: a second graph would stand still (seen with plotly 7.1).
_MORTAL_VIEWS = """
var k8slabWidget=()=>{let inner=%s(),now=null;return{initialize(x){let model=new Proxy(x.model,{get(of,key){
if(key==="on")return(name,call)=>{let view=now;of.on(name,view?(...a)=>{if(view.alive)call(...a)}:call)};
let value=of[key];return typeof value==="function"?value.bind(of):value}});inner.initialize({...x,model})},
render(x){let view=now={alive:true},end;try{end=inner.render(x)}finally{now=null}
return()=>{view.alive=false;end?.()}}}};
"""

_figure: KernelFigure | None = None


class KernelFigure:
    """A FigureWidget and whether a view of it is there. Made by `kernel_figure`, on the drawer's thread.

    Args:
        traces: the traces it has from the first; their number never changes.
        layout: its layout.
    """

    def __init__(self, traces: list[dict[str, Any]], layout: dict[str, Any]) -> None:
        self.heard = False
        self.when_heard: Callable[[], None] | None = None
        self._drawer: Drawer | None = None
        self.widget = _widget_class(self._now)(data=traces, layout={**layout, "autosize": True})
        # plotly follows the width of the page only where its configuration says so; it has no public setter.
        self.widget._config = {**self.widget._config, "responsive": True}

    def adopt(self, drawer: Drawer) -> None:
        """Have this drawer handle the messages of the figure's views."""
        self._drawer = drawer
        drawer.adopt(self.widget, self._spoken)

    def await_view(self) -> bool:
        """Send nothing until the next view has spoken; says whether one had been there before."""
        before, self.heard = self.heard, False
        return before

    def take_as_heard(self) -> None:
        """Send from now on, whether a view has spoken or not."""
        self._spoken(False)

    def _spoken(self, on_subshell: bool) -> None:
        if not self.heard:
            self.heard = True
            if self.when_heard is not None and self._drawer is not None:
                self._drawer.soon(self.when_heard)

    def _now(self) -> tuple[Any, Any]:
        """Data and layout of now, copied where nobody changes them meanwhile."""
        if self._drawer is None or self._drawer.ended:
            return self._copy()
        return self._drawer.run(self._copy)

    def _copy(self) -> tuple[Any, Any]:
        return deepcopy(self.widget._data), deepcopy(self.widget._layout_obj._props)


def kernel_figure(traces: list[dict[str, Any]], layout: dict[str, Any]) -> KernelFigure:
    """The kernel's figure, made with these traces at the first call."""
    global _figure
    if _figure is None:
        _figure = KernelFigure(traces, layout)
    return _figure


def _widget_class(now: Callable[[], tuple[Any, Any]]) -> Any:
    """FigureWidget, whose state for a page that loads is that of now; plotly is imported on first use."""
    import plotly.graph_objects as go

    class LiveFigureWidget(go.FigureWidget):  # type: ignore[misc]  # plotly ships no types
        """plotly keeps `_widget_data` at what it was when the figure was made or shown."""

        _esm = with_mortal_views(script_of(go.FigureWidget))

        def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
            """The state for the front end."""
            if key is None and self.comm is not None:
                data, layout = now()
                self._trait_values.update(_widget_data=data, _widget_layout=layout)
            state: dict[str, Any] = super().get_state(key=key, drop_defaults=drop_defaults)
            return state

    return LiveFigureWidget


def script_of(widget: Any) -> str:
    """The module that draws a widget class, be it given as a path or as text."""
    given = widget._esm
    return given.read_text(encoding="utf-8") if isinstance(given, Path) else str(given)


def with_mortal_views(script: str) -> str:
    """plotly's module, whose views no longer hear anything once they are taken away.

    Args:
        script: an ES module; one that exports its default otherwise than plotly does is left as it is.
    """
    found = list(_DEFAULT_EXPORT.finditer(script))
    if not found:
        return script
    name = found[-1]
    start = script.rindex("export", 0, name.start())
    export = script[start : name.start()] + "k8slabWidget" + script[name.end(1) : name.end()]
    return script[:start] + _MORTAL_VIEWS % name[1] + export + script[name.end() :]
