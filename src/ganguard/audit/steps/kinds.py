"""Kind of step → the function that does it."""

from ganguard.audit.steps.call import Runner
from ganguard.audit.steps.direction import run_direction
from ganguard.audit.steps.features import run_features
from ganguard.audit.steps.known import run_known
from ganguard.audit.steps.measure import run_measure
from ganguard.audit.steps.preflight import run_fit, run_ready
from ganguard.audit.steps.purchase import run_purchase
from ganguard.audit.steps.real import run_real
from ganguard.audit.steps.replay import run_replay
from ganguard.audit.steps.substitute import run_substitute
from ganguard.audit.steps.target import run_defend, run_open_target, run_train_target
from ganguard.audit.steps.transfer import run_domain, run_measure_transfer
from ganguard.audit.steps.utility import run_utility
from ganguard.audit.steps.yardsticks import run_yardsticks

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
