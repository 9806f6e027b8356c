"""How agents are to behave, as it is frozen with a launch."""

from vmdirac.model.agent_rules import AgentRules


def test_what_was_frozen_is_understood_later() -> None:
    rules = AgentRules(900.0, "/scratch", "/scratch/stop")
    assert AgentRules.from_json(rules.as_json()) == rules


def test_a_row_of_another_version_is_understood() -> None:
    assert AgentRules.from_json({}) == AgentRules()
    assert AgentRules.from_json({"contact_deadline": 60.0, "colour": "red"}) == AgentRules(60.0)
