"""A web process and a worker speak to the same broker."""

from celery import current_app

from suite.celery import app
from suite.notices import tasks


def test_a_task_queued_by_a_web_process_goes_to_the_product_s_own_broker() -> None:
    assert tasks.deliver.app.main == app.main == "suite"
    assert current_app.conf.broker_url == app.conf.broker_url == "memory://"
