"""Access is denied by default: who has access, and who does not."""

import base64
import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from coremachine import AsyncCoreMachine
from coremachine.runtime.settings import Settings
from coremachine.runtime.web import Access, create_site
from coremachine.runtime.web.access.middleware import BODY_LIMIT_BYTES
from coremachine.runtime.web.access.policy import SESSION_COOKIE, AccessError, OpenAddressError, Token, is_loopback
from coremachine.runtime.web.access.sessions import new_cookie
from tests.databases import OpenApp
from tests.web.jobs import raster
from tests.web.site import OPERATOR, TOKENS, VIEWER, client, with_token

AWAY = "203.0.113.7"
SUBMIT = "/api/platform/submit"
ASKED = {"job_type": "raster", "parameters": {"size": 1}}


def principal(*roles: str) -> str:
    """The header that Easy Auth sends for a user with these roles."""
    claims = [{"typ": "roles", "val": role} for role in roles]
    return base64.b64encode(json.dumps({"auth_typ": "aad", "claims": claims}).encode()).decode()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_f36_loopback_may_be_served_without_a_token(host: str) -> None:
    Access().check_address(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "", "localhost.example.org"])  # noqa: S104
def test_f36_any_other_address_needs_authentication(host: str) -> None:
    with pytest.raises(OpenAddressError, match="COREMACHINE_WEB_TOKENS"):
        Access().check_address(host)
    TOKENS.check_address(host)


def test_a_host_name_that_begins_with_a_loopback_address_is_not_loopback() -> None:
    assert not is_loopback("127.0.0.1.example.org")


@pytest.mark.parametrize(
    "tokens",
    [
        "secret",
        "vera:viewer",
        "vera:owner:a-secret-of-some-length",
        "vera:viewer:short",
        ":viewer:" + VIEWER,
        "ve|ra:viewer:" + VIEWER,
        f"team:operator:{OPERATOR},team:viewer:{VIEWER}",
        f"otto:operator:{VIEWER},vera:viewer:{VIEWER}",
    ],
)
def test_an_invalid_token_setting_is_rejected_and_no_secret_is_shown(tokens: str) -> None:
    with pytest.raises(AccessError) as refused:
        Access.of(Settings(web_tokens=tokens))
    assert VIEWER not in str(refused.value)
    assert tokens not in repr(Settings(web_tokens=tokens))


async def status(web: httpx.AsyncClient, path: str = "/api/jobs") -> int:
    """The status of the response."""
    async with web:
        return (await web.get(path)).status_code


async def test_f36_without_authentication_only_this_machine_has_access(open_app: OpenApp) -> None:
    site = create_site(await open_app(), Access())
    assert await status(client(site)) == 200
    assert await status(client(site, peer="::1")) == 200
    assert await status(client(site, peer=AWAY)) == 403
    assert await status(client(site, peer="testclient")) == 403
    # a proxy on this machine forwards requests from elsewhere
    for header in ("x_forwarded_for", "forwarded", "via", "x_real_ip", "x_forwarded_host"):
        assert await status(client(site, **{header: AWAY})) == 403, header


async def test_an_unknown_host_name_is_rejected(open_app: OpenApp) -> None:
    site = create_site(await open_app(), Access())
    for base in ("http://evil.example", "http://localhost.evil.example:8000", "http://127.0.0.1.evil.example"):
        assert await status(client(site, base=base)) == 421, base
    assert await status(client(site, base="http://127.0.0.1:8000")) == 200
    named = create_site(await open_app(), Access(TOKENS.tokens, hosts=frozenset({"jobs.example"})))
    bearer = f"Bearer {VIEWER}"
    assert await status(client(named, base="https://jobs.example", authorization=bearer)) == 200
    assert await status(client(named, base="https://other.example", authorization=bearer)) == 421


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer nobody", f"Basic {VIEWER}", f"Bearer {VIEWER}x", "Bearer \xff"]
)
async def test_an_unknown_or_missing_token_has_no_access(open_app: OpenApp, value: str) -> None:
    site = create_site(await open_app(), TOKENS)
    async with client(site) as web:
        answer = await web.get("/api/jobs", headers={b"authorization": value.encode("latin-1")})
        page = await web.get("/jobs?text=a%26b", headers={"accept": "text/html"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert set(answer.json()) == {"what", "where", "remedy", "parameters"}
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=%2Fjobs%3Ftext%3Da%2526b")


async def test_a_viewer_reads_and_an_operator_changes(open_app: OpenApp) -> None:
    app = await open_app(raster)
    async with with_token(app, VIEWER) as viewer, with_token(app, OPERATOR) as operator:
        assert (await viewer.get("/api/jobs")).status_code == 200
        refused = await viewer.post(SUBMIT, json=ASKED)
        assert (refused.status_code, refused.json()["remedy"]) == (403, "ask an operator")
        made = await operator.post(SUBMIT, json=ASKED)
        job_id = made.json()["job_id"]
        for what in ("resume", "cancel"):
            assert (await viewer.post(f"/api/jobs/{job_id}/{what}")).status_code == 403
            assert (await viewer.post(f"/jobs/{job_id}/{what}")).status_code == 403
        assert (await operator.post(f"/jobs/{job_id}/cancel", data={"reason": "no need"})).status_code == 303
    assert (await app.job(job_id))["status"] == "cancelled"


async def test_a_login_sets_a_cookie_that_scripts_cannot_read_and_other_sites_cannot_send(open_app: OpenApp) -> None:
    site = create_site(await open_app(), TOKENS)
    async with client(site, base="https://localhost") as web:
        wrong = await web.post("/login", data={"token": "guess"})
        assert (wrong.status_code, SESSION_COOKIE in web.cookies) == (401, False)
        right = await web.post("/login", data={"token": VIEWER, "next": "/jobs?status=failed"})
        assert (right.status_code, right.headers["location"]) == (303, "/jobs?status=failed")
        cookie = right.headers["set-cookie"].lower()
        assert all(word in cookie for word in ("httponly", "samesite=strict", "secure", "path=/"))
        assert VIEWER not in cookie
        assert (await web.get("/api/jobs")).status_code == 200
        for elsewhere in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"):
            assert (await web.post("/login", data={"token": VIEWER, "next": elsewhere})).headers["location"] == "/jobs"
        await web.post("/logout")
        assert (await web.get("/api/jobs")).status_code == 401


async def test_a_forged_or_expired_cookie_has_no_access(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    site = create_site(await open_app(), TOKENS)
    good = new_cookie("vera", VIEWER)
    name, ends, signature = good.split("|")
    with monkeypatch.context() as earlier:
        earlier.setattr(time, "time", lambda: 1_000.0)
        old = new_cookie("vera", VIEWER)
    for cookie, expected in (
        (good, 200),
        (f"otto|{ends}|{signature}", 401),
        (f"{name}|{int(ends) + 1}|{signature}", 401),
        (f"{name}|{ends}|{'0' * 64}", 401),
        (new_cookie("vera", OPERATOR), 401),
        (old, 401),
        ("", 401),
        ("vera|9|", 401),
        ("vera|1e9|x", 401),
    ):
        assert await status(client(site, cookie=f"{SESSION_COOKIE}={cookie}")) == expected, cookie


async def test_a_cookie_has_the_role_of_the_token_that_signed_it(open_app: OpenApp) -> None:
    team = Access(tokens=(Token("team", "operator", OPERATOR), Token("team", "viewer", VIEWER)))
    site = create_site(await open_app(raster), team)
    for secret, expected in ((VIEWER, 403), (OPERATOR, 202)):
        async with client(site, cookie=f"{SESSION_COOKIE}={new_cookie('team', secret)}") as web:
            assert (await web.post(SUBMIT, json=ASKED)).status_code == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 202),
        ({"origin": "http://localhost"}, 202),
        ({"origin": "http://localhost", "sec-fetch-site": "same-origin"}, 202),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
async def test_a_request_from_another_site_changes_nothing(
    open_app: OpenApp, headers: dict[str, str], expected: int
) -> None:
    app = await open_app(raster)
    async with client(create_site(app, Access())) as web:
        assert (await web.post(SUBMIT, json=ASKED, headers=headers)).status_code == expected
        assert len((await web.get("/api/jobs")).json()["jobs"]) == (expected == 202)


async def test_a_program_with_a_token_may_act_from_any_origin(open_app: OpenApp) -> None:
    async with with_token(await open_app(raster), OPERATOR) as web:
        answer = await web.post(SUBMIT, json=ASKED, headers={"origin": "https://other.example"})
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("roles", "peer", "reading", "acting"),
    [
        (("operator",), "10.1.2.3", 200, 202),
        (("viewer",), "10.1.2.3", 200, 403),
        (("viewer", "operator"), "10.1.2.3", 200, 202),
        (("reader",), "10.1.2.3", 401, 401),
        ((), "10.1.2.3", 401, 401),
        (("operator",), AWAY, 401, 401),
    ],
)
async def test_only_a_trusted_proxy_names_the_visitor(
    open_app: OpenApp, roles: tuple[str, ...], peer: str, reading: int, acting: int
) -> None:
    access = Access.of(Settings(web_trusted_proxies="10.0.0.0/8"))
    site = create_site(await open_app(raster), access)
    headers = {"x-ms-client-principal": principal(*roles), "x-ms-client-principal-name": "ada@example.org"}
    async with client(site, peer=peer) as web:
        assert (await web.get("/api/jobs", headers=headers)).status_code == reading
        assert (await web.post(SUBMIT, json=ASKED, headers=headers)).status_code == acting


@pytest.mark.parametrize(
    ("peer", "forwarded", "scheme"),
    [
        ("10.0.0.1", "https", "https"),
        ("10.0.0.1", "https, http", "https"),
        ("10.0.0.1", "gopher", "http"),
        ("10.0.0.1", "", "http"),
        (AWAY, "https", "http"),
    ],
)
async def test_f36_only_a_trusted_proxy_says_that_visitors_use_tls(
    open_app: OpenApp, peer: str, forwarded: str, scheme: str
) -> None:
    access = Access.of(Settings(web_tokens=f"otto:operator:{OPERATOR}", web_trusted_proxies="10.0.0.0/8"))
    async with client(create_site(await open_app(raster), access), peer=peer, x_forwarded_proto=forwarded) as web:
        entered = await web.post("/login", data={"token": OPERATOR})
        made = await web.post(SUBMIT, json=ASKED, headers={"authorization": f"Bearer {OPERATOR}"})
    assert ("secure" in entered.headers["set-cookie"].lower()) == (scheme == "https")
    assert made.json()["monitor_url"] == f"{scheme}://localhost/jobs/{made.json()['job_id']}"


async def test_f36_a_configured_url_is_used_in_links_and_cookies(open_app: OpenApp) -> None:
    access = Access.of(Settings(web_tokens=f"otto:operator:{OPERATOR}", web_url="https://jobs.example/cm/"))
    async with client(create_site(await open_app(raster), access), peer=AWAY) as web:
        entered = await web.post("/login", data={"token": OPERATOR})
        made = await web.post(SUBMIT, json=ASKED, headers={"authorization": f"Bearer {OPERATOR}"})
    assert "secure" in entered.headers["set-cookie"].lower()
    assert made.json()["monitor_url"] == f"https://jobs.example/cm/jobs/{made.json()['job_id']}"


@pytest.mark.parametrize("url", ["jobs.example", "ftp://jobs.example", "https://", "https://jobs.example/?a=1"])
def test_an_invalid_url_is_rejected(url: str) -> None:
    with pytest.raises(AccessError, match="web_url"):
        Access.of(Settings(web_url=url))


@pytest.mark.parametrize("text", ["", "nonsense", "W10=", "eyJjbGFpbXMiOiBbMSwgbnVsbF19", "bnVsbA=="])
async def test_an_unreadable_principal_has_no_access(open_app: OpenApp, text: str) -> None:
    access = Access.of(Settings(web_trusted_proxies="10.0.0.0/8"))
    site = create_site(await open_app(), access)
    assert await status(client(site, peer="10.0.0.1", x_ms_client_principal=text)) == 401


async def test_a_body_is_limited_with_and_without_a_declared_length(open_app: OpenApp) -> None:
    app = await open_app(raster)
    big = b'{"job_type": "raster", "parameters": {"name": "' + b"x" * BODY_LIMIT_BYTES + b'"}}'

    async def in_parts() -> AsyncIterator[bytes]:
        for place in range(0, len(big), 65_536):
            yield big[place : place + 65_536]

    async with client(create_site(app, Access()), content_type="application/json") as web:
        assert (await web.post(SUBMIT, content=big)).status_code == 413
        assert (await web.post(SUBMIT, content=in_parts())).status_code == 413
    assert await app.list_jobs() == []


async def test_every_response_has_the_security_headers(open_app: OpenApp) -> None:
    async with client(create_site(await open_app(), TOKENS)) as web:
        for path in ("/jobs", "/login", "/static/site.css", "/api/jobs", "/healthz", "/nowhere"):
            headers = (await web.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy, path
            assert "unsafe" not in policy
            assert "http" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in policy


async def test_only_liveness_and_readiness_are_public(open_app: OpenApp) -> None:
    async with client(create_site(await open_app(), TOKENS)) as web:
        assert (await web.get("/healthz")).json() == {"status": "ok"}
        assert (await web.get("/readyz")).json() == {"ready": True, "database": "ok"}
        for path in (
            "/metrics",
            "/api/health",
            "/health",
            "/lifecycles",
            "/api/openapi.json",
            "/api/lifecycles/job.svg",
        ):
            assert (await web.get(path)).status_code == 401, path


async def test_head_is_answered_like_get_without_a_body(open_app: OpenApp) -> None:
    app = await open_app(raster)
    job = await app.submit(raster, size=1)
    async with client(create_site(app, Access())) as web:
        for path in ("/healthz", "/readyz", "/jobs", f"/jobs/{job.id}", "/health", "/static/site.css", "/api/jobs"):
            head, got = await web.head(path), await web.get(path)
            assert (head.status_code, head.content) == (200, b""), path
            assert head.headers["content-type"] == got.headers["content-type"], path
        assert (await web.head("/api/changes")).status_code == 405
        assert (await web.head("/jobs/none")).status_code == (await web.get("/jobs/none")).status_code
    async with client(create_site(app, TOKENS)) as web:
        assert (await web.head("/healthz")).status_code == 200
        assert (await web.head("/api/jobs")).status_code == 401


async def test_the_server_is_not_ready_without_its_database(open_app: OpenApp) -> None:
    site = create_site(AsyncCoreMachine("postgresql://nobody@127.0.0.1:1/none"), TOKENS)
    async with client(site) as web:
        answer = await web.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "database": "unreachable"})
    assert (await open_app()).is_open
