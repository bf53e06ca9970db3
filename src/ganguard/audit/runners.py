"""Kind of step → the function that does it."""

from ganguard.audit.attacking import run_known, run_purchase, run_substitute
from ganguard.audit.defending import run_direction, run_utility
from ganguard.audit.measuring import run_measure, run_replay, run_yardsticks
from ganguard.audit.readiness import run_fit, run_ready
from ganguard.audit.steps import (
    Runner,
    run_defend,
    run_features,
    run_open_target,
    run_real,
    run_train_target,
)
from ganguard.audit.transferring import run_domain, run_measure_transfer

RUNNERS: dict[str, Runner] = {
    "real": run_real,
    "ready": run_ready,
    "train_target": run_train_target,
    "open_target": run_open_target,
    "fit": run_fit,
    "direction": run_direction,
    "defend": run_defend,
    "utility": run_utility,
    "features": run_features,
    "yardsticks": run_yardsticks,
    "known": run_known,
    "purchase": run_purchase,
    "replay": run_replay,
    "substitute": run_substitute,
    "measure": run_measure,
    "domain": run_domain,
    "measure_transfer": run_measure_transfer,
}
