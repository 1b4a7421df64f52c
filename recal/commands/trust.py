"""`recal sign | verify` and `recal keys new`: who vouches for an artefact."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from recal import exits
from recal.commands import options
from recal.commands.opened import opened, say_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from services.readout.signature import Trust

app = typer.Typer(help="Keys that sign artefacts.", no_args_is_help=True)

_SHOWN = 12

Artefacts = Annotated[
    Path, typer.Argument(help="A saved readout or calibration, or a folder with some below it.")
]


@app.callback()
def keys() -> None:
    """Keys that sign artefacts."""


@app.command("new")
def new(
    out: Annotated[Path, typer.Option(help="Folder for both files; they must not exist yet.")],
) -> None:
    """Make a pair of Ed25519 keys: the private one signs, servers are given the public one."""
    from services.readout.signature import PRIVATE_KEY, PUBLIC_KEY, new_keys

    signer = new_keys(out)
    typer.echo(f"key {signer[:_SHOWN]}…")
    typer.echo(f"  {out / PRIVATE_KEY}  signs (`recal sign`); keep it away from servers")
    typer.echo(f"  {out / PUBLIC_KEY}  verifies; name it in `registry.trusted_keys`")


def sign(
    key: Annotated[Path, typer.Option(help="The private key of `recal keys new`.")],
    directory: Annotated[
        Path | None,
        typer.Argument(help="A saved readout or calibration, or a folder with some below it."),
    ] = None,
    registered: Annotated[
        str | None, typer.Option(help="A version of the registry instead: `sw@7`, `readout@3`.")
    ] = None,
    as_json: options.AsJson = False,
    model: options.Model = None,
    config: options.Config = None,
) -> None:
    """Sign artefacts, each after it was verified: saved ones, or a registered version in its place.

    A digest stays what it was. Saved ones are registered afterwards.
    """
    from services.readout import signature

    if (directory is None) == (registered is None):
        raise ValueError("give a folder, or `--registered` with a version such as `sw@7`")
    private = signature.read_private_key(key)
    if registered is not None:
        here = opened(config, model)
        version = here.version(registered)
        signer = here.registry.sign(version, private)
        _tell_signed(signer, {version.label: version.digest}, as_json=as_json)
    elif directory is not None:
        _tell_signed(*_sign_saved(directory, private), as_json=as_json)


def _sign_saved(directory: Path, private: Ed25519PrivateKey) -> tuple[str, dict[str, str]]:
    from recal.artefact_set import artefacts_in, load_artefact
    from services.readout import signature

    # all of them first: a set is signed whole or not at all
    digests = {path: load_artefact(path).digest for path in artefacts_in(directory)}
    for path, digest in digests.items():
        signature.sign(path, digest, private)
    signer = signature.key_id(private.public_key())
    return signer, {str(path): digest for path, digest in digests.items()}


def _tell_signed(signer: str, digests: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        signed = [{"path": path, "digest": digest} for path, digest in digests.items()]
        say_json({"key": signer, "signed": signed})
        return
    for path, digest in digests.items():
        typer.echo(f"{path} ({digest[:_SHOWN]}…) is signed by the key {signer[:_SHOWN]}…")


@dataclass(frozen=True)
class Verified:
    """What is known of one artefact."""

    path: str
    digest: str = ""
    """Empty where it was refused."""
    signed_by: str | None = None
    """Id of the trusted key that signed it; None where none did, or none is trusted."""
    refused: str = ""
    """Why."""


def verify(
    directory: Artefacts,
    key: Annotated[
        list[Path] | None,
        typer.Option(help="A public key that is trusted; by default `registry.trusted_keys`."),
    ] = None,
    config: options.Config = None,
    as_json: options.AsJson = False,
) -> None:
    """Look at saved artefacts as a server does: files, digests, schema, signature.

    Exit codes: 0 all are sound, 1 one would be refused.
    """
    from recal.artefact_set import artefacts_in

    trust = _trust(key, config)
    found = [_verified(path, trust) for path in artefacts_in(directory)]
    if as_json:
        rows = [asdict(each) for each in found]
        say_json({"trusted_keys": sorted(trust.keys), "artefacts": rows})
    else:
        for each in found:
            _tell(each, trust)
    raise typer.Exit(exits.FAILED_CHECK if any(each.refused for each in found) else 0)


def _trust(key: list[Path] | None, config: Path | None) -> Trust:
    from services.composition import trust_in
    from services.readout.signature import trust_of
    from services.settings import load_settings

    return trust_of(key) if key else trust_in(load_settings(config))


def _verified(path: Path, trust: Trust) -> Verified:
    from recal.artefact_set import load_artefact
    from services.errors import ArtefactRefused

    try:
        artefact = load_artefact(path, trust=trust)
        signer = trust.signer(path, artefact.digest, f"`{path}`")
    except ArtefactRefused as error:
        return Verified(str(path), refused=str(error))
    return Verified(str(path), artefact.digest, signer)


def _tell(each: Verified, trust: Trust) -> None:
    console = Console()
    if each.refused:
        console.print(f"✗ {each.refused}", soft_wrap=True, markup=False, highlight=False)
        return
    how = f"signed by {each.signed_by[:_SHOWN]}…" if each.signed_by else "not signed"
    if not trust.keys:
        how = "no key is trusted, so signatures were not looked at"
    said = f"✓ {each.path} ({each.digest[:_SHOWN]}…): {how}"
    console.print(said, soft_wrap=True, markup=False, highlight=False)
