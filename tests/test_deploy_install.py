"""What an installer, a unit and a Procfile have to agree on, and the installer's way through a machine that is not there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import COMMANDS
from app.sections import MqttServer, Udp
from app.settings import load

TOP = Path(__file__).resolve().parent.parent
DEPLOY = TOP / "deploy"
SCRIPTS = ("install", "uninstall", "xiaozhi", "system-packages")


def text(name: str) -> str:
    return (DEPLOY / name).read_text("utf-8")


def variable(script: str, name: str) -> str:
    """What a script sets ``name`` to, with the variables in it."""
    match = re.search(rf"^(?:export )?{name}=(\S+)$", text(script), re.MULTILINE)
    assert match, f"{script} sets no {name}"
    return match[1]


def unit(key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text("xiaozhi.service"), re.MULTILINE)


def procfile() -> dict[str, str]:
    return dict(line.split(": ", 1) for line in (TOP / "Procfile").read_text("utf-8").splitlines())


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_scripts_are_scripts(script: str) -> None:
    assert os.access(DEPLOY / script, os.X_OK)
    subprocess.run(["sh", "-n", DEPLOY / script], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", DEPLOY / script], check=True)


def test_the_unit_starts_what_the_installer_installs() -> None:
    current = f"{variable('install', 'OPT')}/current"
    assert unit("WorkingDirectory") == [current]
    assert unit("ExecStart") == [f"{current}/.venv/bin/{procfile()['web']}"]
    assert f"{current}}}" in variable("xiaozhi", "CURRENT").strip('"')
    assert unit("ExecStartPre")[0].split()[0] == variable("install", "COMMAND")


def test_unit_installer_and_command_name_the_same_places() -> None:
    state, etc = variable("install", "STATE"), variable("install", "ETC")
    assert unit("StateDirectory") == [state.removeprefix("/var/lib/")]
    assert unit("Environment") == [f"XIAOZHI_STATE_DIR={state}", f"XIAOZHI_CONFIG={etc}/config.json"]
    assert unit("EnvironmentFile") == [f"-{etc}/environment"]
    assert unit("User") == unit("Group") == [variable("install", "ACCOUNT")]
    assert (variable("xiaozhi", "XIAOZHI_STATE_DIR"), variable("xiaozhi", "XIAOZHI_CONFIG")) == (state, f"{etc}/config.json")
    assert variable("xiaozhi", "ENVIRONMENT") == f"{etc}/environment"
    for name in ("OPT", "ETC", "STATE", "BACKUPS", "UNIT", "SYSCTL", "COMMAND", "ACCOUNT"):
        assert variable("install", name) == variable("uninstall", name)


def test_the_units_variables_are_those_of_the_settings(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("{}")
    environment = dict(line.split("=", 1) for line in unit("Environment")) | {"XIAOZHI_CONFIG": str(config)}
    code = "from app.settings import load; print(load().state_dir)"
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == variable("install", "STATE")


def test_the_kernels_buffer_and_the_open_files_are_as_many_as_the_settings_ask_for() -> None:
    assert f"net.core.rmem_max = {Udp().receive_buffer_bytes}" in text("install")
    assert int(unit("LimitNOFILE")[0]) > 2 * MqttServer().max_connections


def test_everything_that_is_copied_exists_and_everything_that_runs_is_copied() -> None:
    content = re.search(r'^CONTENT="(.*)"$', text("install"), re.MULTILINE)
    assert content
    names = content[1].split()
    assert [name for name in names if not (TOP / name).exists()] == []
    assert {"app", "broker", "config", "deploy", "wsgi.py", "gunicorn.conf.py", "requirements.txt"} <= set(names)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    path = tmp_path / "xiaozhi.service"
    path.write_text(
        re.sub(r"^(ExecStart|ExecStartPre)=\S+", rf"\1={sys.executable}", text("xiaozhi.service"), flags=re.MULTILINE)
    )
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False, timeout=60)
    assert [line for line in done.stderr.splitlines() if "xiaozhi.service" in line] == []


def test_the_procfiles_processes_are_commands_that_exist() -> None:
    processes = procfile()
    assert processes["web"] == "gunicorn -k gevent wsgi:app"
    for name in ("broker", "release"):
        assert processes[name] == f"python -m app {name}"
        assert name in COMMANDS


def test_an_aptfile_holds_what_the_server_needs_of_the_system() -> None:
    needed = set(re.findall(r'missing="\$missing (\S+)"', text("system-packages")))
    listed = set((TOP / "Aptfile").read_text("utf-8").split())
    assert {"libopus0", "espeak-ng", "mosquitto"} <= listed <= needed


@pytest.mark.parametrize(("python", "compiles"), [("3.11", False), ("3.12", True), ("3.13", False), ("3.14", True)])
def test_a_compiler_is_asked_for_where_a_package_comes_unbuilt(tmp_path: Path, python: str, compiles: bool) -> None:
    programs = {
        "python3": f'case "$*" in *version_info*) echo {python} ;; *) exit 1 ;; esac',
        "id": "echo 1000",
        "apt-get": "exit 1",
    }
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", DEPLOY / "system-packages"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert (" gcc g++ python3-dev " in done.stderr) == compiles


def test_the_python_that_is_asked_for_is_one_that_the_server_runs_on() -> None:
    least = re.search(r'requires-python = ">=(\d+)\.(\d+)"', (TOP / "pyproject.toml").read_text("utf-8"))
    assert least
    asked = (TOP / ".python-version").read_text("utf-8").strip().split(".")
    assert tuple(map(int, asked)) >= (int(least[1]), int(least[2]))
    assert f"sys.version_info < ({least[1]}, {least[2]})" in text("install")


def test_the_manifest_for_platforms_sets_settings_that_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = json.loads((TOP / "app.json").read_text("utf-8"))
    for name, entry in manifest["env"].items():
        if name.startswith("XIAOZHI_"):
            monkeypatch.setenv(name, entry.get("value", "generated"))
    settings = load(TOP / "config" / "config.json", {})
    assert settings.http_only
    assert settings.ota.signature_key == "generated"
    assert set(manifest["formation"]) <= set(procfile())


@pytest.mark.parametrize("script", ["install", "uninstall"])
def test_an_option_that_there_is_not_changes_nothing(script: str) -> None:
    done = subprocess.run([DEPLOY / script, "--nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "There is no option --nonsense" in done.stderr


@pytest.mark.parametrize("script", ["install", "uninstall"])
def test_help_is_the_scripts_own_beginning(script: str) -> None:
    done = subprocess.run([DEPLOY / script, "--help"], capture_output=True, text=True, check=True)
    assert f"deploy/{script}" in done.stdout
    assert "set -eu" not in done.stdout


@pytest.mark.parametrize(("pip", "made"), [("echo pip 25.1", False), ("echo No module named pip >&2; exit 1", True)])
def test_make_makes_an_environment_again_whose_python_has_become_another(tmp_path: Path, pip: str, made: bool) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/pip").write_text(f"#!/bin/sh\n{pip}\n")
    (tmp_path / "bin/pip").chmod(0o755)
    (tmp_path / ".run").touch()
    command = ["make", "--dry-run", "setup", f"VENV={tmp_path}"]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True, timeout=60)
    assert (f"-m venv --clear {tmp_path}" in done.stdout) == made
    assert (" install " in done.stdout) == made


FAKES = {
    "id": '[ "$1" != -u ] && [ "$1" != -un ] && exit 0\n[ "$1" = -u ] && echo 0 || echo xiaozhi',
    "chown": "exit 0",
    "sysctl": "exit 0",
    "userdel": "exit 0",
    "install": 'for a in "$@"; do shift\ncase "$a" in -o|-g) skip=1 ;; *) [ -n "$skip" ] && skip= || set -- "$@" "$a" ;; esac\n'
    'done\nexec /usr/bin/install "$@"',
    "journalctl": "echo the journal",
    "sleep": "exit 0",
    "systemctl": 'echo "$*" >> ROOT/systemctl.log\ncase "$1" in\n'
    "start) [ -e ROOT/opt/current/app/bad ] || touch ROOT/ready ;;\nstop) rm -f ROOT/ready ;;\n"
    "is-failed) [ ! -e ROOT/ready ] ;;\nesac",
}
PYTHON = """[ ! -e "${0%/*}/another" ] || exit 1
case "$*" in
*'version_info <'*) exit 0 ;;
*version_info*) echo 3.11 ;;
'-m venv '*) mkdir -p "$3/bin" && cp ROOT/bin/python "$3/bin/python" ;;
*'-m pip '*) [ ! -e ROOT/no-network ] ;;
*'urllib.request'*) [ -e ROOT/ready ] ;;
*'release --check'*) [ ! -e ROOT/bad-config ] ;;
*'backup '*) for f in "$@"; do :; done; echo state > "$f" ;;
*'restore '*) for f in "$@"; do :; done; echo "restore $f" >> ROOT/systemctl.log ;;
*) exit 0 ;;
esac"""


class Machine:
    """A root of its own, with the installer's paths in it, and programs that only note what is asked of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._source = root / "source"
        for folder in (
            "bin",
            "etc/systemd/system",
            "run/systemd/system",
            "state",
            "source/app",
            "source/config",
            "source/deploy",
        ):
            (root / folder).mkdir(parents=True)
        for name in ("wsgi.py", "gunicorn.conf.py", "requirements.txt", "config/config.json"):
            (self._source / name).write_text("{}")
        (root / "etc/os-release").write_text("ID=debian\n")
        (root / "state/secrets.json").write_text("{}")
        for name in SCRIPTS[:-1]:
            self._script(self._source / "deploy" / name, self._moved(text(name)))
        self._script(self._source / "deploy/system-packages", "exit 0")
        shutil.copy(DEPLOY / "xiaozhi.service", self._source / "deploy")
        for name, body in {**FAKES, "python": PYTHON}.items():
            self._script(root / "bin" / name, body.replace("ROOT", str(root)))
        self._version = 0

    def _moved(self, script: str) -> str:
        moves = {
            "/opt/xiaozhi": "opt",
            "/etc/xiaozhi": "etc/xiaozhi",
            "/var/lib/xiaozhi": "state",
            "/var/backups/xiaozhi": "backups",
            "/usr/local/bin/xiaozhi": "command",
            "/etc/systemd": "etc/systemd",
            "/etc/sysctl.d": "etc/sysctl.d",
            "/etc/os-release": "etc/os-release",
            "/run/systemd": "run/systemd",
        }
        for path, moved in moves.items():
            script = script.replace(path, str(self.root / moved))
        return script.removeprefix("#!/bin/sh\n")

    def _script(self, path: Path, body: str) -> None:
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def install(self, *options: str, bad: bool = False) -> subprocess.CompletedProcess[str]:
        """One installation of a new version, which does not get ready when it is ``bad``."""
        self._version += 1
        (self._source / "pyproject.toml").write_text(f'version = "{self._version}"\n')
        mark = self._source / "app/bad"
        mark.touch() if bad else mark.unlink(missing_ok=True)
        return self.run("install", *options)

    def run(self, script: str, *options: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}", "PYTHON": "python"}
        command = [self._source / "deploy" / script, *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    def version(self, link: str = "current") -> str:
        path = self.root / "opt" / link
        return path.resolve().name.partition("-")[0] if path.is_symlink() else ""

    @property
    def releases(self) -> list[str]:
        return sorted(path.name.partition("-")[0] for path in (self.root / "opt/releases").iterdir())

    @property
    def serves(self) -> bool:
        return (self.root / "ready").exists()

    def gets_another_python(self) -> None:
        """What an upgrade of the whole system does: the environments of the releases that are there are for the Python before."""
        for release in (self.root / "opt/releases").iterdir():
            (release / ".venv/bin/another").touch()

    def log(self) -> str:
        path = self.root / "systemctl.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_first_installation_serves_and_says_where(machine: Machine) -> None:
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert (machine.version(), machine.version("previous"), machine.serves) == ("1", "", True)
    assert "The server is installed" in done.stdout
    assert "console's password" in done.stdout
    assert "enable --quiet xiaozhi.service" in machine.log()
    assert (machine.root / "etc/xiaozhi/config.json").exists()


def test_an_upgrade_keeps_the_one_before_a_backup_and_the_configuration(machine: Machine) -> None:
    assert machine.install().returncode == 0
    (machine.root / "etc/xiaozhi/config.json").write_text("mine")
    for _ in range(2):
        assert machine.install().returncode == 0
    assert (machine.version(), machine.version("previous"), machine.releases) == ("3", "2", ["2", "3"])
    assert len(list((machine.root / "backups").iterdir())) == 2
    assert (machine.root / "etc/xiaozhi/config.json").read_text() == "mine"


def test_an_upgrade_that_does_not_get_ready_is_taken_back_with_its_state(machine: Machine) -> None:
    assert machine.install().returncode == 0
    assert machine.install().returncode == 0
    done = machine.install(bad=True)
    assert done.returncode == 1
    assert "The version before serves again." in done.stderr
    assert "the journal" in done.stderr
    assert "restore" in machine.log()
    assert (machine.version(), machine.version("previous"), machine.releases, machine.serves) == ("2", "1", ["1", "2"], True)


def test_a_first_installation_that_does_not_get_ready_says_what_to_do(machine: Machine) -> None:
    done = machine.install(bad=True)
    assert done.returncode == 1
    assert "systemctl restart xiaozhi" in done.stderr


@pytest.mark.parametrize("mark", ["no-network", "bad-config"])
def test_what_fails_before_the_switch_leaves_the_old_version_serving(machine: Machine, mark: str) -> None:
    assert machine.install().returncode == 0
    (machine.root / mark).touch()
    done = machine.install()
    assert done.returncode == 1
    assert "What was installed before is untouched." in done.stderr
    assert (machine.version(), machine.releases, machine.serves) == ("1", ["1"], True)
    assert "stop xiaozhi.service" not in machine.log().split("start xiaozhi.service", 1)[1]


def test_the_way_back(machine: Machine) -> None:
    assert machine.install().returncode == 0
    assert "There is no version before" in machine.run("install", "--rollback").stderr
    assert machine.install().returncode == 0
    assert machine.run("install", "--rollback").returncode == 0
    assert (machine.version(), machine.version("previous"), machine.serves) == ("1", "2", True)


def test_the_way_back_names_a_backup_only_when_there_is_one(machine: Machine) -> None:
    assert machine.install().returncode == 0
    assert machine.install("--no-backup").returncode == 0
    assert "state from before" not in machine.run("install", "--rollback").stdout
    assert machine.install().returncode == 0
    assert "state from before" in machine.run("install", "--rollback").stdout


def test_after_an_upgrade_of_the_system_the_same_command_backs_up_and_serves_again(machine: Machine) -> None:
    assert machine.install().returncode == 0
    machine.gets_another_python()
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert (machine.version(), machine.serves) == ("2", True)
    assert len(list((machine.root / "backups").iterdir())) == 1


def test_a_version_for_another_python_is_not_gone_back_to(machine: Machine) -> None:
    assert machine.install().returncode == 0
    machine.gets_another_python()
    failed = machine.install(bad=True)
    assert "did not get ready" in failed.stderr
    assert machine.version() == "2"
    assert machine.install().returncode == 0
    assert machine.install().returncode == 0
    (machine.root / "opt/previous/.venv/bin/another").touch()
    refused = machine.run("install", "--rollback")
    assert refused.returncode == 1
    assert "another Python" in refused.stderr
    assert (machine.version(), machine.serves) == ("4", True)


def test_the_command_says_that_python_is_another(machine: Machine) -> None:
    assert machine.install().returncode == 0
    machine.gets_another_python()
    done = subprocess.run([machine.root / "command", "doctor"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Type deploy/install in its source folder again." in done.stderr


def test_what_was_installed_beside_a_server_that_runs_is_started_by_a_restart(machine: Machine) -> None:
    assert machine.install().returncode == 0
    assert "systemctl restart xiaozhi" in machine.install("--no-start").stdout


def test_without_systemd_nothing_is_started_and_it_is_said_how(machine: Machine) -> None:
    shutil.rmtree(machine.root / "run/systemd")
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert "xiaozhi serve" in done.stdout
    assert machine.log() == ""


def test_other_distributions_are_told_so(machine: Machine) -> None:
    (machine.root / "etc/os-release").write_text("ID=fedora\n")
    assert "neither Debian nor Ubuntu" in machine.install().stderr
    assert not (machine.root / "opt/current").exists()


def test_uninstalling_leaves_the_state_and_purging_does_not(machine: Machine) -> None:
    assert machine.install().returncode == 0
    assert machine.run("uninstall").returncode == 0
    assert not (machine.root / "opt").exists()
    assert (machine.root / "state").exists()
    assert (machine.root / "etc/xiaozhi").exists()
    assert machine.run("uninstall", "--purge").returncode == 0
    assert not (machine.root / "state").exists()
    assert not (machine.root / "etc/xiaozhi").exists()


def test_the_command_reads_the_environment_as_the_service_does(machine: Machine) -> None:
    assert machine.install().returncode == 0
    (machine.root / "etc/xiaozhi/environment").write_text(
        "# a comment\nPLAIN=a b=c\nDOUBLE=\"in quotes\"\nSINGLE='it is'\nnot a variable=1\n$(touch evil)=1\nLAST=$(touch evil)"
    )
    python = machine.root / "opt/current/.venv/bin/python"
    python.write_text('#!/bin/sh\nprintf "%s|" "$PLAIN" "$DOUBLE" "$SINGLE" "$LAST" "$XIAOZHI_STATE_DIR" "$@"\n')
    done = subprocess.run(
        [machine.root / "command", "restore", "x"],
        env={"PATH": f"{machine.root / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    state = machine.root / "state"
    assert done.stdout == f"a b=c|in quotes|it is|$(touch evil)|{state}|-P|-m|app|restore|x|"
