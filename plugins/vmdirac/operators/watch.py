"""The task that watches: it keeps the alerts true, tells whoever is to be told, and measures the fleet.

What it does is imported where it does it: this module is loaded each time that a DAG file is parsed, by every task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier, BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from vmdirac.config.notifiers import NotifierConfig
    from vmdirac.model.alert import Alert


class VmdiracWatchOperator(BaseOperator):
    """Watches. What fails makes the run red when all the rest is done: a notifier that fails is tried again by the next
    run, and the others tell all the same, as they do if the fleet cannot be measured."""

    def execute(self, context: Context) -> None:
        from vmdirac.config.notifiers import read_notifiers
        from vmdirac.config.source import AirflowConfigSource
        from vmdirac.loops.count import count
        from vmdirac.loops.notify import tell
        from vmdirac.loops.watch import watch
        from vmdirac.operators import event_metrics
        from vmdirac.operators.metrics import measure
        from vmdirac.operators.runtime import utc_now
        from vmdirac.store.database import Store

        failures: list[str] = []
        store = Store.from_config()

        def tell_all() -> None:
            tellers = _tellers(read_notifiers(AirflowConfigSource()), context)
            failures.extend(tell(store, tellers, utc_now()))

        try:
            # Alerts are told before anything is measured: who waits for them waits for nothing else.
            for part in (
                lambda: watch(store, utc_now()),
                tell_all,
                lambda: measure(store, utc_now()),
                lambda: count(store, utc_now(), event_metrics.tell),
            ):
                try:
                    part()
                except Exception as error:
                    self.log.exception("a part of it failed; the others are done")
                    failures.append(f"{type(error).__name__}: {error}")
        finally:
            store.close()
        if failures:
            raise AirflowFailException("; ".join(failures))


def _tellers(configs: Sequence[NotifierConfig], context: Context) -> dict[str, Callable[[Alert], None]]:
    """By their classes, and by numbers where there are several of one."""
    tellers: dict[str, Callable[[Alert], None]] = {}
    seen: Counter[str] = Counter()
    for config in configs:
        seen[config.notifier] += 1
        tellers[f"{config.notifier} {seen[config.notifier]}"] = _teller(config, context)
    return tellers


def _teller(config: NotifierConfig, context: Context) -> Callable[[Alert], None]:
    def tell(alert: Alert) -> None:
        if config.kinds and alert.kind not in config.kinds:
            return
        # Anew for each: a notifier's templates are rendered in place.
        notifier = _made(config)
        with_alert: Any = {**context, "alert": alert}
        notifier.render_template_fields(with_alert)
        notifier.notify(with_alert)

    return tell


def _made(config: NotifierConfig) -> BaseNotifier:
    from importlib import import_module

    module, _, name = config.notifier.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no notifier {config.notifier}: {error}") from None
    if not (isinstance(found, type) and issubclass(found, BaseNotifier)):
        raise ValueError(f"{config.notifier} is no notifier of Airflow")
    made: BaseNotifier = found(**config.arguments)
    return made
