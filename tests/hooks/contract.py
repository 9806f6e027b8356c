"""What every cloud hook must do, whatever its cloud: :class:`vmdirac.model.contracts.Cloud` as tests.

A driver's test module subclasses :class:`CloudContract` and supplies its fixtures, against a real server.
"""

import pytest

from tests.hooks.children import in_processes
from tests.hooks.driver import Backdoor, DriverFixtures, Inject, MakeRequest
from tests.hooks.fleet import launched, launched_until_listed, listed, wait_for_state, wait_until_gone
from tests.hooks.waiting import wait_until
from vmdirac.model.cloud import (
    DEAD,
    INSTALLATION_TAG,
    TOKEN_TAG,
    CloudState,
    LaunchOutcome,
)
from vmdirac.model.contracts import Cloud
from vmdirac.model.errors import (
    ERRORS,
    REFUSALS,
    CloudError,
    ConfigError,
    ErrorKind,
    TransientError,
)

__all__ = ["ERRORS", "OF_ANY_CALL", "Backdoor", "CloudContract", "Inject", "MakeRequest"]

OF_ANY_CALL = (ErrorKind.THROTTLE, ErrorKind.AUTH, ErrorKind.TRANSIENT)
"""Errors that any call can end with; the others only a launch."""


class CloudContract(DriverFixtures):
    """Every test is named for what the cloud does."""

    # Launch.

    def test_a_launched_vm_is_listed_with_what_it_was_launched_with(
        self, cloud: Cloud, make_request: MakeRequest
    ) -> None:
        request = make_request()
        (cloud_id,) = launched_until_listed(cloud, request)
        vm = listed(cloud)[cloud_id]
        assert (vm.token, vm.name) == (request.token, request.name)
        assert vm.state in {CloudState.PENDING, CloudState.RUNNING}
        assert vm.launched_at
        assert vm.launched_at.utcoffset() is not None
        assert wait_for_state(cloud, cloud_id, CloudState.RUNNING).private_ip

    def test_user_data_arrives_byte_for_byte(self, cloud: Cloud, make_request: MakeRequest, backdoor: Backdoor) -> None:
        script = make_request().user_data + "\n: <<'END'\n\t\r\x01\x7f\ufeff{{ }} $HOME `true` %s \\ \"' é漢字🚀\n"
        filling = "æ" * ((16 * 1024 - len(script.encode())) // 2)
        user_data = script + filling + "x" * (16 * 1024 - len((script + filling).encode()))
        assert len(user_data.encode()) == 16 * 1024
        (cloud_id,) = launched(cloud, make_request(user_data=user_data))
        assert backdoor.user_data(cloud_id) == user_data.encode()

    def test_tags_arrive_and_say_whose_vm_it_is(
        self, cloud: Cloud, other_cloud: Cloud, make_request: MakeRequest, backdoor: Backdoor
    ) -> None:
        request = make_request(tags=(("vmdirac-pod", "p 1"), ("Owner", "é")))
        (cloud_id,), (other_id,) = launched(cloud, request), launched(other_cloud, make_request())
        tags, others_tags = backdoor.tags(cloud_id), backdoor.tags(other_id)
        assert {"vmdirac-pod": "p 1", "Owner": "é", TOKEN_TAG: request.token}.items() <= tags.items()
        assert tags[INSTALLATION_TAG] != others_tags[INSTALLATION_TAG]

    def test_a_token_launched_again_is_the_same_vm(self, cloud: Cloud, make_request: MakeRequest) -> None:
        request = make_request()
        first = launched_until_listed(cloud, request)
        assert launched(cloud, request) == first
        assert list(listed(cloud)) == first

    def test_a_token_twice_in_a_batch_is_one_vm(self, cloud: Cloud, make_request: MakeRequest) -> None:
        request = make_request()
        first, second = launched(cloud, request, request)
        assert first == second
        wait_until(lambda: list(listed(cloud)) == [first], "one VM is listed")

    def test_a_token_launched_by_several_processes_is_one_vm(self, cloud: Cloud, make_request: MakeRequest) -> None:
        request = make_request()
        outcomes: list[LaunchOutcome] = in_processes(lambda: cloud.launch([request])[0], 4)
        ids = {outcome.cloud_id for outcome in outcomes}
        assert len(ids) == 1, [outcome.error for outcome in outcomes]
        wait_until(lambda: listed(cloud).keys() == ids, "one VM is listed")

    def test_a_refused_launch_leaves_the_rest_of_its_batch(self, cloud: Cloud, make_request: MakeRequest) -> None:
        requests = [
            make_request(),
            make_request(flavor="no-such-flavor"),
            make_request(),
            make_request(boot_image="no-such-image"),
            make_request(),
        ]
        outcomes = cloud.launch(requests)
        assert [outcome.token for outcome in outcomes] == [request.token for request in requests]
        assert [type(outcome.error) for outcome in outcomes] == [
            type(None),
            ConfigError,
            type(None),
            ConfigError,
            type(None),
        ]
        good = {outcome.cloud_id for outcome in outcomes if outcome.cloud_id}
        wait_until(lambda: listed(cloud).keys() == good, "the good ones are listed, and nothing else")

    def test_a_refusal_does_not_show_the_user_data(self, cloud: Cloud, make_request: MakeRequest) -> None:
        user_data = make_request().user_data + "# hidden-treasure\n"
        outcome = cloud.launch([make_request(flavor="no-such-flavor", user_data=user_data)])[0]
        assert isinstance(outcome.error, ConfigError)
        assert "hidden-treasure" not in repr(outcome)

    def test_an_empty_batch_is_nothing_to_do(self, cloud: Cloud) -> None:
        assert cloud.launch([]) == []
        assert cloud.terminate([]) == []

    # List.

    def test_the_list_brings_every_page(self, cloud: Cloud, make_request: MakeRequest) -> None:
        requests = [make_request() for _ in range(self.more_than_a_page)]
        ids = launched_until_listed(cloud, *requests)
        vms = listed(cloud)
        assert vms.keys() == set(ids)
        assert {vm.token for vm in vms.values()} == {request.token for request in requests}

    def test_installations_in_one_account_list_only_their_own(
        self, cloud: Cloud, other_cloud: Cloud, make_request: MakeRequest
    ) -> None:
        ours = launched_until_listed(cloud, make_request(), make_request())
        others = launched_until_listed(other_cloud, make_request())
        assert listed(cloud).keys() == set(ours)
        assert listed(other_cloud).keys() == set(others)

    def test_the_same_token_of_two_installations_is_two_vms(
        self, cloud: Cloud, other_cloud: Cloud, make_request: MakeRequest
    ) -> None:
        request = make_request()
        (ours,), (others,) = launched(cloud, request), launched(other_cloud, request)
        assert ours != others

    def test_a_powered_off_vm_is_listed_as_stopped(
        self, cloud: Cloud, make_request: MakeRequest, backdoor: Backdoor
    ) -> None:
        (cloud_id,) = launched_until_listed(cloud, make_request())
        wait_for_state(cloud, cloud_id, CloudState.RUNNING)
        backdoor.power_off(cloud_id)
        vm = wait_for_state(cloud, cloud_id, CloudState.STOPPED)
        assert vm.state in DEAD
        assert not cloud.terminate([cloud_id])[0].error
        wait_until_gone(cloud, cloud_id)

    # Terminate.

    def test_a_terminated_vm_goes(self, cloud: Cloud, make_request: MakeRequest) -> None:
        staying, going = launched_until_listed(cloud, make_request(), make_request())
        (outcome,) = cloud.terminate([going])
        assert (outcome.cloud_id, outcome.error) == (going, None)
        wait_until_gone(cloud, going)
        assert list(listed(cloud)) == [staying]

    def test_terminating_twice_is_done(self, cloud: Cloud, make_request: MakeRequest) -> None:
        (cloud_id,) = launched_until_listed(cloud, make_request())
        assert [outcome.error for outcome in cloud.terminate([cloud_id, cloud_id])] == [None, None]
        wait_until_gone(cloud, cloud_id)
        assert cloud.terminate([cloud_id])[0].error is None

    def test_terminating_an_unknown_vm_is_done(self, cloud: Cloud, backdoor: Backdoor) -> None:
        (outcome,) = cloud.terminate([backdoor.unknown_id])
        assert (outcome.cloud_id, outcome.error) == (backdoor.unknown_id, None)

    def test_a_vm_of_another_installation_is_not_touched(
        self, cloud: Cloud, other_cloud: Cloud, make_request: MakeRequest
    ) -> None:
        (others,) = launched_until_listed(other_cloud, make_request())
        first, last = launched_until_listed(cloud, make_request(), make_request())
        outcomes = cloud.terminate([first, others, last])
        assert [outcome.cloud_id for outcome in outcomes] == [first, others, last]
        assert [type(outcome.error) for outcome in outcomes] == [type(None), ConfigError, type(None)]
        wait_until_gone(cloud, first, last)
        wait_for_state(other_cloud, others, CloudState.RUNNING)

    # Errors.

    @pytest.mark.parametrize("kind", ErrorKind)
    def test_an_error_on_launch_arrives_typed(
        self, cloud: Cloud, make_request: MakeRequest, inject: Inject, kind: ErrorKind
    ) -> None:
        request = make_request()
        with inject("launch", kind):
            (outcome,) = cloud.launch([request])
        assert outcome.token == request.token
        assert type(outcome.error) is ERRORS[kind]
        if isinstance(outcome.error, REFUSALS):
            assert not listed(cloud), "the launch was refused, and yet there is a VM"
        assert launched_until_listed(cloud, request) == list(listed(cloud))

    @pytest.mark.parametrize("kind", OF_ANY_CALL)
    def test_a_list_that_fails_is_no_list(
        self, cloud: Cloud, make_request: MakeRequest, inject: Inject, kind: ErrorKind
    ) -> None:
        (cloud_id,) = launched_until_listed(cloud, make_request())
        with inject("list", kind), pytest.raises(CloudError) as raised:
            list(cloud.instances())
        assert raised.type is ERRORS[kind]
        assert list(listed(cloud)) == [cloud_id]

    @pytest.mark.parametrize("kind", OF_ANY_CALL)
    def test_an_error_on_terminate_arrives_typed(
        self, cloud: Cloud, make_request: MakeRequest, inject: Inject, kind: ErrorKind
    ) -> None:
        (cloud_id,) = launched_until_listed(cloud, make_request())
        with inject("terminate", kind):
            (outcome,) = cloud.terminate([cloud_id])
        assert outcome.cloud_id == cloud_id
        assert type(outcome.error) is ERRORS[kind]
        assert cloud.terminate([cloud_id])[0].error is None
        wait_until_gone(cloud, cloud_id)

    def test_a_launch_whose_answer_was_lost_is_one_vm(
        self, cloud: Cloud, make_request: MakeRequest, inject: Inject
    ) -> None:
        request = make_request()
        with inject("launch", ErrorKind.TRANSIENT, after=True):
            (outcome,) = cloud.launch([request])
        assert type(outcome.error) is TransientError
        (there,) = wait_until(lambda: list(listed(cloud)), "the VM is listed whose answer was lost")
        assert listed(cloud)[there].token == request.token
        assert launched(cloud, request) == [there]
        assert list(listed(cloud)) == [there]

    def test_a_terminate_whose_answer_was_lost_is_done_all_the_same(
        self, cloud: Cloud, make_request: MakeRequest, inject: Inject
    ) -> None:
        (cloud_id,) = launched_until_listed(cloud, make_request())
        with inject("terminate", ErrorKind.TRANSIENT, after=True):
            (outcome,) = cloud.terminate([cloud_id])
        assert type(outcome.error) is TransientError
        wait_until_gone(cloud, cloud_id)
        assert cloud.terminate([cloud_id])[0].error is None

    # Console, limits, shapes, connection.

    def test_the_console_shows_what_the_vm_wrote(
        self, cloud: Cloud, make_request: MakeRequest, backdoor: Backdoor
    ) -> None:
        (cloud_id,) = launched_until_listed(cloud, make_request())
        wait_for_state(cloud, cloud_id, CloudState.RUNNING)
        backdoor.write_console(cloud_id, self.console_line)
        wait_until(lambda: self.console_line in cloud.console(cloud_id), "the line is in the console")

    def test_the_console_of_an_unknown_vm_is_empty(self, cloud: Cloud, backdoor: Backdoor) -> None:
        assert cloud.console(backdoor.unknown_id) == ""

    def test_the_console_is_not_for_another_installation(
        self, cloud: Cloud, other_cloud: Cloud, make_request: MakeRequest, backdoor: Backdoor
    ) -> None:
        (cloud_id,) = launched_until_listed(cloud, make_request())
        wait_for_state(cloud, cloud_id, CloudState.RUNNING)
        backdoor.write_console(cloud_id, "for our eyes only")
        wait_until(lambda: "for our eyes only" in cloud.console(cloud_id), "the line is in the console")
        with pytest.raises(ConfigError):
            other_cloud.console(cloud_id)

    def test_limits_count_what_is_there(self, cloud: Cloud, make_request: MakeRequest) -> None:
        before = cloud.limits()
        (cloud_id,) = launched_until_listed(cloud, make_request())
        # Some clouds count a VM only once they have found it a place.
        wait_for_state(cloud, cloud_id, CloudState.RUNNING)
        after = cloud.limits()
        for name in ("instances_used", "processors_used", "memory_mb_used"):
            then, now = getattr(before, name), getattr(after, name)
            assert (then is None) == (now is None)
            assert then is None or now > then, name
        for name in ("instances", "processors", "memory_mb"):
            assert getattr(before, name) == getattr(after, name)

    def test_the_shape_of_a_flavor(self, cloud: Cloud, make_request: MakeRequest) -> None:
        shape = cloud.shape(make_request().flavor)
        assert shape.processors >= 1
        assert shape.memory_mb >= 0
        with pytest.raises(ConfigError, match="no-such-flavor"):
            cloud.shape("no-such-flavor")

    def test_the_connection_can_be_tested(self, cloud: Cloud) -> None:
        usable, sentence = cloud.test_connection()
        assert usable
        assert sentence
