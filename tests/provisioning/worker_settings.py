"""The settings of a real worker under test: the product's, with a broker of its own and a short patience."""

from suite.settings import *  # noqa: F403 - the point of the file

_broker = env.str("TEST_BROKER")  # noqa: F405
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "data_folder_in": f"{_broker}/messages",
    "data_folder_out": f"{_broker}/messages",
    "control_folder": f"{_broker}/control",
    "store_processed": False,
    "polling_interval": 0.1,
}
CELERY_BEAT_SCHEDULE_FILENAME = f"{_broker}/beat"
CELERY_BEAT_SCHEDULE = {"sweep": {"task": "onboarding.provisioning.tasks.sweep", "schedule": 0.5}}
CELERY_TASK_TIME_LIMIT = PROVISIONING_LEASE_SECONDS - 1  # noqa: F405
CELERY_TASK_SOFT_TIME_LIMIT = CELERY_TASK_TIME_LIMIT - 0.5
# This test is about workers; the sockets of the DNS have theirs.
BACKENDS["resolver"] = "tests.provisioning.world.WorldResolver"  # noqa: F405
