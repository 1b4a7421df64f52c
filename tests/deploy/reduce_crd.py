"""KubeRay's CRD of a RayService to the schema that manifests are held against.

`python -m tests.deploy.reduce_crd ray.io_rayservices.yaml > tests/deploy/rayservice.schema.json`

The CRD spells out whole pods and services; these are left to Kubernetes' own schemas of the same
fields. What remains is KubeRay's, a twentieth of the size, and names every field that there is:
another one is an error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

ELSEWHERE = {"template": "PodTemplate", "serveService": "Service", "headService": "Service"}
"""Fields that hold an object of Kubernetes, by its kind."""
_KEPT = ("type", "enum", "required", "pattern", "minimum", "maximum", "minLength", "maxLength")


def reduced(node: dict[str, Any], name: str = "") -> dict[str, Any]:
    """One node of an OpenAPI v3 schema, as JSON schema without what is elsewhere."""
    if name in ELSEWHERE:
        return {"type": "object"}
    out = {key: node[key] for key in _KEPT if key in node}
    if node.get("x-kubernetes-int-or-string"):
        out = {"type": ["integer", "string"]}
    if "properties" in node:
        out["properties"] = {key: reduced(child, key) for key, child in node["properties"].items()}
        out["additionalProperties"] = False
    elif "additionalProperties" in node:
        out["additionalProperties"] = reduced(node["additionalProperties"])
    if "items" in node:
        out["items"] = reduced(node["items"])
    return out


def schema_of(crd: str) -> dict[str, Any]:
    """The schema of version v1 in the text of a CRD, without its status."""
    [resource] = [document for document in yaml.safe_load_all(crd) if document]
    [version] = [v for v in resource["spec"]["versions"] if v["name"] == "v1"]
    schema = reduced(version["schema"]["openAPIV3Schema"])
    del schema["properties"]["status"]
    return schema


if __name__ == "__main__":
    schema = schema_of(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps(schema, indent=1, sort_keys=True))
