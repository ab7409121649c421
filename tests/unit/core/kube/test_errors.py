"""Which error an answer of the API server is."""

from __future__ import annotations

import pytest

from cronwright_core.kube.errors import KubeDenied, KubeForbidden, KubeNoRoom, error_for

TASK = 'scheduledtasks.cronwright.dev "task-1" is forbidden: '


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (403, TASK + 'User "system:serviceaccount:a:b" cannot patch resource "scheduledtasks"', KubeForbidden),
        (401, "Unauthorized", KubeForbidden),
        (403, TASK + "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: not so", KubeDenied),
        (403, 'admission webhook "w.example.com" denied the request: not so', KubeDenied),
        (403, 'admission webhook "w.example.com" denied the request without explanation', KubeDenied),
        (403, TASK + "exceeded quota: q, requested: count/x=1, used: count/x=5, limited: count/x=5", KubeNoRoom),
        (
            403,
            TASK + "unable to create new content in namespace team because it is being terminated",
            KubeNoRoom,
        ),
        (401, 'admission webhook "w" denied the request: not so', KubeForbidden),
    ],
)
def test_a_missing_right_and_what_admission_refuses_are_told_apart(
    status: int, message: str, kind: type[KubeForbidden]
) -> None:
    error = error_for(status, {"kind": "Status", "reason": "Forbidden", "message": message})
    assert type(error) is kind
    if isinstance(error, KubeDenied):
        assert error.words == ("not so" if "not so" in message else "")
