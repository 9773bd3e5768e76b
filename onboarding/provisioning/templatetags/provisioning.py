"""Lets any page include `provisioning/progress.html` with nothing but a deployment."""

from django import template

from onboarding.provisioning import progress

register = template.Library()

register.filter("lines", progress.lines)
register.filter("fingerprint", progress.fingerprint)
register.filter("records_to_publish", progress.records_to_publish)
