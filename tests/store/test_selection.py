"""Which instances somebody means."""

from tests.fakes.rows import add_instance
from vmdirac.model.states import InstanceStatus
from vmdirac.model.stop import Selection
from vmdirac.store.database import Store
from vmdirac.store.selection import endpoints, pods, selected

S = InstanceStatus


def test_those_that_fit_all_that_is_said(store: Store) -> None:
    with store.write() as session:
        one = add_instance(session, S.RUNNING, pod="a", endpoint="x").id
        two = add_instance(session, S.STALLED, pod="a", endpoint="y").id
        three = add_instance(session, S.RUNNING, pod="b", endpoint="x").id
        add_instance(session, S.HALTED, pod="a", endpoint="x")
        add_instance(session, S.ERROR, pod="a", endpoint="x", vm_gone=True)

        def ids(selection: Selection) -> list[int]:
            return [item.id for item in selected(session, selection)]

        assert ids(Selection(pods=("a",))) == [one, two]
        assert ids(Selection(pods=("a", "b"))) == [one, two, three]
        assert ids(Selection(pods=("a",), endpoints=("x",))) == [one]
        assert ids(Selection(statuses=(S.RUNNING,))) == [one, three]
        assert ids(Selection(ids=(two, three, 99), statuses=(S.RUNNING,))) == [three]
        assert ids(Selection(pods=("c",))) == []


def test_pods_and_endpoints_that_have_vms(store: Store) -> None:
    with store.write() as session:
        for pod, endpoint, status in [
            ("b", "y", S.RUNNING),
            ("a", "y", S.STALLED),
            ("", "x", S.NEW),
            ("c", "z", S.HALTED),
        ]:
            add_instance(session, status, pod=pod, endpoint=endpoint)
        assert (pods(session), endpoints(session)) == (["a", "b"], ["x", "y"])
