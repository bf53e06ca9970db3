"""Every kind of step, by name."""

from ganguard.audit.steps.call import Kind
from ganguard.audit.steps.codes import CODES, MEASURE_CODES
from ganguard.audit.steps.direction import DIRECTION
from ganguard.audit.steps.eyesight import EYESIGHT
from ganguard.audit.steps.features import FEATURES
from ganguard.audit.steps.fit import FIT
from ganguard.audit.steps.found import FOUND
from ganguard.audit.steps.independent import INDEPENDENT
from ganguard.audit.steps.known import KNOWN
from ganguard.audit.steps.measure import MEASURE
from ganguard.audit.steps.measure_independent import MEASURE_INDEPENDENT
from ganguard.audit.steps.preflight import READY
from ganguard.audit.steps.purchase import PURCHASE
from ganguard.audit.steps.real import REAL
from ganguard.audit.steps.replay import REPLAY
from ganguard.audit.steps.rework import REWORK
from ganguard.audit.steps.sound import SOUND
from ganguard.audit.steps.substitute import SUBSTITUTE
from ganguard.audit.steps.target import DEFEND, OPEN_TARGET, TRAIN_TARGET
from ganguard.audit.steps.transfer import DOMAIN, MEASURE_TRANSFER
from ganguard.audit.steps.utility import UTILITY
from ganguard.audit.steps.yardsticks import YARDSTICKS

KINDS: dict[str, Kind] = {
    "real": REAL,
    "ready": READY,
    "train_target": TRAIN_TARGET,
    "open_target": OPEN_TARGET,
    "fit": FIT,
    "direction": DIRECTION,
    "defend": DEFEND,
    "utility": UTILITY,
    "features": FEATURES,
    "yardsticks": YARDSTICKS,
    "sound": SOUND,
    "eyesight": EYESIGHT,
    "codes": CODES,
    "independent": INDEPENDENT,
    "measure_independent": MEASURE_INDEPENDENT,
    "known": KNOWN,
    "purchase": PURCHASE,
    "rework": REWORK,
    "replay": REPLAY,
    "substitute": SUBSTITUTE,
    "found": FOUND,
    "measure": MEASURE,
    "measure_codes": MEASURE_CODES,
    "domain": DOMAIN,
    "measure_transfer": MEASURE_TRANSFER,
}
"""Name of a kind -> its function, and the code that its result depends on."""
