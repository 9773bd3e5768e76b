from django.urls import path

from suite.accounts import views

urlpatterns = []
