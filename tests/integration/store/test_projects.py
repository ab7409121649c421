"""ProjectStore against PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from cronwright_core.domain.errors import Conflict, NotFound
from cronwright_core.domain.project import ContainerTemplate, Workspace
from cronwright_core.store.projects import ProjectStore
from cronwright_core.store.records.projects import ProjectDraft, ProjectProjection
from cronwright_core.store.session import Database
from support.store_rows import NOW, add_project, later, make_project_spec


@pytest.fixture
def store(database: Database) -> ProjectStore:
    return ProjectStore(database)


def activate(store: ProjectStore, project_id: int, uid: str = "uid-1"):
    return store.activate(
        project_id, cr_uid=uid, namespace="team", cr_name=f"project-{project_id}", generation=1, now=NOW
    )


def test_round_trip_of_every_field(store) -> None:
    spec = make_project_spec(
        container=ContainerTemplate(
            image="python:3.11",
            command=("python",),
            args=("-V",),
            env=({"name": "A", "value": "1"},),
            resources={"limits": {"memory": "1Gi"}},
        ),
        description="data processing",
        members=("bob", "carol"),
        service_account_name="runner",
        image_pull_policy="Always",
        image_pull_secrets=("registry",),
        security_context={"runAsNonRoot": True},
        workspace=Workspace("claim", "/data"),
        max_concurrent_executions=5,
        retention_days=90,
        allow_overrides=True,
        node_selector={"disk": "ssd"},
        tolerations=({"key": "gpu", "effect": "NoExecute", "tolerationSeconds": 5},),
        pod_annotations={"team": "data"},
    )
    record = activate(store, store.reserve(ProjectDraft(spec=spec), NOW))
    assert record.spec == spec
    assert record == store.get(record.project_id) == store.get_by_cr("team", record.cr_name)
    assert record.may_use("bob")
    assert not record.may_use("mallory")


def test_what_a_project_does_not_say_of_nodes_is_not_in_its_row(database, store) -> None:
    """So the rows of the release before are as this one writes them, and keep their `updated_at` at an upgrade."""
    record = store.get(add_project(database))
    assert (record.spec.node_selector, record.spec.tolerations, record.spec.pod_annotations) == ({}, (), {})
    with database.transaction() as connection:
        (spec,) = connection.execute(text("SELECT spec FROM projects")).one()
    assert not {"node_selector", "tolerations", "pod_annotations"} & spec.keys()


def test_pending_is_invisible_and_can_be_discarded(store) -> None:
    project_id = store.reserve(ProjectDraft(spec=make_project_spec()), NOW)
    with pytest.raises(NotFound):
        store.get(project_id)
    assert [project.project_id for project in store.stale_pending(later(1))] == [project_id]
    store.discard(project_id)
    assert store.stale_pending(later(1)) == []


def test_the_display_name_is_unique_among_live_projects(database, store) -> None:
    add_project(database)
    with pytest.raises(Conflict):
        store.reserve(ProjectDraft(spec=make_project_spec()), NOW)
    store.mark_deleted("uid-project-data", NOW)
    store.reserve(ProjectDraft(spec=make_project_spec()), NOW)


def test_a_name_held_for_a_rename_is_its_resources_alone(database, store) -> None:
    first = add_project(database, "first")
    held = ProjectDraft(spec=make_project_spec("wanted"), namespace="team", cr_name="project-first")
    store.reserve(held, NOW)
    with pytest.raises(Conflict):
        add_project(database, "wanted")
    store.reserve(held, NOW)
    renamed = ProjectProjection(
        cr_uid="uid-project-first",
        namespace="team",
        cr_name="project-first",
        generation=2,
        creation_time=NOW,
        spec=make_project_spec("wanted"),
    )
    assert store.register(renamed, NOW) == first
    assert store.get(first).spec.display_name == "wanted"
    assert store.stale_pending(later(3600)) == []


def test_register_updates_and_rebuilds(store) -> None:
    def seen(generation: int, **fields: object) -> ProjectProjection:
        return ProjectProjection(
            cr_uid="uid-9",
            namespace="team",
            cr_name="data",
            generation=generation,
            creation_time=NOW,
            spec=make_project_spec(**fields),
            project_id=9,
        )

    assert store.register(seen(1), NOW) == 9
    assert store.register(seen(3, description="new"), later(5)) == 9
    assert store.register(seen(2, description="old"), later(9)) == 9
    record = store.get(9)
    assert (record.spec.description, record.updated_at, record.generation) == ("new", later(5), 3)
    assert store.reserve(ProjectDraft(spec=make_project_spec("next")), NOW) == 10


def test_observation(database, store) -> None:
    project_id = add_project(database)
    assert store.get(project_id).ready is None
    store.set_observed("uid-project-data", ready=False, reason="NameTaken", message="the name is taken")
    record = store.get(project_id)
    assert (record.ready, record.ready_reason, record.ready_message) == (False, "NameTaken", "the name is taken")


def test_lists_what_the_user_owns_or_is_a_member_of(database, store) -> None:
    own = add_project(database, "own")
    member = add_project(database, "member", owner="bob", members=("alice", "carol"))
    other = add_project(database, "other", owner="bob")
    page = store.list(user="alice", page=1, size=20)
    assert (page.total, [project.project_id for project in page.items]) == (2, [member, own])
    assert [project.project_id for project in store.list(user=None, page=1, size=2).items] == [other, member]
    assert store.list(user="alice", page=2, size=1).items[0].project_id == own


def test_live(database, store) -> None:
    project_id = add_project(database)
    (live,) = store.live()
    assert (live.cr_uid, live.cr_name, live.project_id) == ("uid-project-data", "project-data", project_id)


@pytest.mark.parametrize("project_id", [0, 5, 10**30])
def test_unknown_ones_are_not_found(store, project_id) -> None:
    with pytest.raises(NotFound):
        store.get(project_id)
    with pytest.raises(NotFound):
        store.get_by_cr("team", "nothing")
