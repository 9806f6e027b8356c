"""The task that watches: it keeps the alerts true, tells whoever is to be told, and measures the fleet.

What it does is imported where it does it: this module is loaded each time that a DAG file is parsed, by every task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier, BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from vmdirac.config.notifiers import NotifierConfig
    from vmdirac.model.alert import Alert


class VmdiracWatchOperator(BaseOperator):
    """Watches. A notifier that fails is tried again by the next run, and makes this one red; the others tell all the
    same."""

    def execute(self, context: Context) -> None:
        from vmdirac.config.notifiers import NotifiersError, read_notifiers
        from vmdirac.config.source import AirflowConfigSource
        from vmdirac.loops.count import count
        from vmdirac.loops.notify import tell
        from vmdirac.loops.watch import watch
        from vmdirac.operators import event_metrics
        from vmdirac.operators.metrics import measure
        from vmdirac.operators.runtime import utc_now
        from vmdirac.store.database import Store

        store = Store.from_config()
        try:
            watch(store, utc_now())
            measure(store, utc_now())
            count(store, utc_now(), event_metrics.tell)
            tellers = [_teller(item, context) for item in read_notifiers(AirflowConfigSource())]
            failures = tell(store, tellers, utc_now())
        except NotifiersError as error:
            raise AirflowFailException(str(error)) from None
        finally:
            store.close()
        if failures:
            raise AirflowFailException("; ".join(failures))


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
