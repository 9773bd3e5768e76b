"""A fresh checkout answers its first question."""

import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from suite import prepare
from suite.directory.models import Organization


@pytest.mark.django_db(transaction=True)
def test_an_empty_directory_is_filled_before_the_answer_and_only_the_answer_is_on_stdout() -> None:
    out, err = io.StringIO(), io.StringIO()
    call_command("eligibility", "38061", "--json", stdout=out, stderr=err)
    assert json.loads(out.getvalue())["outcome"] == "above_self_hosting"
    assert "Chargement" in err.getvalue()
    assert Organization.objects.current().filter(kind="epci").count() == 1_253
    assert Organization.objects.filter(kind="commune").count() == 34_969


@pytest.mark.django_db
def test_tables_are_not_made_again(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(4):
        prepare.ensure_tables()
    assert "directory_organization" in connection.introspection.table_names()
