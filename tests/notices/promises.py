"""What the pages and the messages promise, and the test that proves each.

`test_promises.py` finds the sentences that promise a mail, a delay or an erasure; each is here, as its reader sees it
(variables as « … »), with the test that would fail if it were false. A promise without a test is one to strike out.
"""

_KEPT = "tests/notices/test_kept.py"
# What a person does, which no program can prove: the way in that it names is tested instead, where there is one.
PERSON = "a person"

PROMISES: dict[str, str] = {
    # Not promises, but said in the same words.
    "Cette page ne sert que si ProConnect ne répond pas, aux personnes qui gardent l’enveloppe d’un compte de "
    "secours.": PERSON,
    "Vous êtes connecté en tant que …, … : c’est ce compte qui recevra le droit.": (
        "tests/accounts/test_teams.py::TestInvitation"
    ),
    "Aucun motif n’a été donné dans le mois.": PERSON,
    "Motifs donnés dans le mois": PERSON,
    "Territoires et opérateurs, dans le mois": PERSON,
    "Par département, dans le mois": PERSON,
    # Mandates.
    "Déposez un document signé du maire, ou écrivez à … : une personne vous répondra.": PERSON,
    "Écrivez à … : une personne vous répondra.": PERSON,
    "Une personne de notre équipe le lit, il n’est visible de personne d’autre, et il est effacé six mois après sa "
    "décision.": (
        "tests/accounts/test_mandate_desk.py::TestDocument"
        "::test_the_original_goes_six_months_after_the_decision_and_its_digest_stays"
    ),
    # Teams.
    "La personne recevra un lien valable sept jours, qui ne sert qu’une fois.": (
        "tests/accounts/test_teams.py::TestInvite::test_the_link_is_sent_and_only_its_digest_kept"
    ),
    "Une personne de la collectivité, ou son opérateur, vous répondra par courriel.": (
        "tests/accounts/test_teams.py::TestAnswer"
    ),
    "Dans les deux cas, ses sessions se ferment aussitôt et la personne en est informée.": (
        "tests/accounts/test_teams.py::TestMember"
    ),
    # Requests.
    "Un opérateur l’examine et vous répond.": f"{_KEPT}::test_r08_every_decision_is_told_to_the_requester",
    "Une personne lit chaque demande et vous répond par courriel.": (
        f"{_KEPT}::test_r08_every_decision_is_told_to_the_requester"
    ),
    "Une personne va la lire ; vous recevrez un message dès que son instruction commence.": (
        f"{_KEPT}::test_r08_the_start_of_the_reading_is_told_to_the_requester"
    ),
    "La commune recevra les motifs et votre message, avec la voie de recours.": (
        f"{_KEPT}::test_r08_a_refusal_carries_its_reasons_its_words_and_the_way_to_contest_it"
    ),
    "Vous pouvez transmettre une nouvelle demande, ou contester cette décision dans les deux mois en écrivant à ….": (
        f"{_KEPT}::test_r08_a_refusal_is_discussed_for_two_months"
    ),
    # The thread.
    "Il part par courriel, et reste sur la page de la demande, que la commune lit.": (
        "tests/intake/test_thread_views.py::TestWrite::test_it_leaves_to_the_commune"
    ),
    ", et l’autre partie en sera prévenue": (
        "tests/intake/test_thread.py::TestEdit::test_within_fifteen_minutes_it_is_mended_kept_and_told_again"
    ),
    "Ce qui vous demande d’agir (une décision, des corrections, un message de l’opérateur) part toujours aussitôt.": (
        "tests/intake/test_thread.py::TestDigests::test_what_asks_to_act_never_waits"
    ),
    # The site's own pages.
    "Nous vous répondrons et, en attendant la correction, nous ferons la démarche avec vous.": PERSON,
    "Écrivez à … : la réponse doit vous parvenir dans le mois.": PERSON,
    # What the other parts brought: managers, accounts, agreements, two people, names, personal data.
    "Prouver mon habilitation par une autre voie, ou écrivez à … : une personne vous répondra.": PERSON,
    "L’annuaire public ne donne aucune adresse électronique de cette mairie : elle ne recevra pas l’annonce.": (
        "tests/accounts/test_administrators.py::TestDetail"
    ),
    "L’un et l’autre se font à deux, et la personne en est prévenue.": (
        "tests/accounts/test_people.py"
        "::test_r12_a_barred_person_is_told_can_be_let_in_again_and_its_dossiers_stay_readable"
    ),
    "Boîtes à désactiver L’opérateur les désactivera après vous avoir prévenu ; rien n’est effacé.": PERSON,
    "Elles auront … jours à partir de la date d’effet pour accepter ; un message leur sera envoyé ce jour-là, "
    "puis un rappel.": (
        "tests/agreements/test_asking.py::test_managers_are_asked_once_reminded_once_and_the_operator_told_once"
    ),
    "Pour le changer, publiez une nouvelle version : les collectivités seront prévenues.": (
        "tests/agreements/test_asking.py::test_managers_are_asked_once_reminded_once_and_the_operator_told_once"
    ),
    "… : un changement de gestionnaire se fera dans 48 heures": (
        "tests/accounts/test_administrators.py::TestLaw::test_a_manager_is_named_by_two_people_after_48_hours"
    ),
    "Une seconde personne, responsable, doit le confirmer ou le refuser dans les sept jours.": (
        "tests/accounts/test_administrators.py::TestLaw::test_a_request_that_nobody_confirms_lapses"
    ),
    "Ce que la collectivité avait signé s’applique encore ; son opérateur en est prévenu.": (
        "tests/agreements/test_asking.py::test_managers_are_asked_once_reminded_once_and_the_operator_told_once"
    ),
    "Rien n’est supprimé par cette annulation.": (
        "tests/intake/test_second_workflow.py::TestRevoke::test_two_leads_end_it_and_r11_nothing_is_deleted"
    ),
    "Aucune de vos données n’est supprimée par cette annulation : chaque suppression demande une décision à part.": (
        "tests/intake/test_second_workflow.py::TestRevoke::test_two_leads_end_it_and_r11_nothing_is_deleted"
    ),
    "Vous pouvez contester cette décision dans les deux mois en écrivant à ….": PERSON,
    "Votre brouillon … sera effacé": (
        "tests/intake/test_retention.py::TestDrafts::test_r50_an_abandoned_draft_is_announced_then_purged_at_the_window"
    ),
    "Votre brouillon … sera effacé le …": (
        "tests/intake/test_retention.py::TestDrafts::test_r50_an_abandoned_draft_is_announced_then_purged_at_the_window"
    ),
    "Son contenu sera effacé le … : ce que vous y avez saisi ne pourra plus être repris.": (
        "tests/intake/test_retention.py::TestDrafts::test_r50_an_abandoned_draft_is_announced_then_purged_at_the_window"
    ),
    "La commune en est informée.": (
        "tests/intake/test_granting.py::TestTwoForOne"
        "::test_r13_two_approvals_at_once_make_one_reservation_and_the_other_is_told"
    ),
    "La personne qui l’a faite recevra votre nom, votre adresse et votre message, et décidera.": (
        "tests/intake/test_coauthors.py::TestAskToJoin"
        "::test_a_stranger_learns_that_one_exists_asks_and_sees_nothing_yet"
    ),
    "il répond la même chose à n’importe quel nom": PERSON,
    "Une personne de notre équipe répond dans le mois.": (
        "tests/intake/test_personal.py::TestErasure::test_it_says_what_the_law_keeps_and_takes_one_request"
    ),
    "L’ANCT répond pour le reste.": PERSON,
    "La commune en sera informée, et l’accepter demandera ensuite deux personnes.": (
        "tests/intake/test_second_workflow.py::TestReopen"
    ),
    "Rien n’est supprimé : chaque suppression sera confirmée à part, par deux personnes.": (
        "tests/intake/test_second_workflow.py::TestRevoke"
        "::test_a_deletion_is_confirmed_by_a_second_person_or_the_database_refuses_it"
    ),
    "Ce tableau est écrit d’après le code qui efface : chaque heure, ce qui est arrivé à échéance est effacé, et "
    "le nombre de lignes effacées est inscrit au journal.": (
        "tests/intake/test_retention.py::TestCommand::test_the_journal_keeps_counts_only"
    ),
    "Le fichier est effacé par l’hébergeur": PERSON,
    "Ce qui sera supprimé, dans l’ordre": (
        "tests/provisioning/test_closing.py::TestWhole::test_everything_goes_in_order_and_the_deployment_is_closed"
    ),
    "Le fermer prend au moins … jours, et rien n’est supprimé sans deux personnes et sans copie complète.": (
        "tests/provisioning/test_closing.py::TestConfirm::test_nothing_is_confirmed_without_a_copy_or_a_waiver"
    ),
    "Rien n’est supprimé avant le …, dans l’ordre de cette page.": (
        "tests/provisioning/test_closing.py::TestWhole::test_nothing_goes_before_its_day"
    ),
    "Rien n’est supprimé pour autant : chaque suppression demande l’accord de deux personnes, une copie complète, "
    "et … jours.": ("tests/provisioning/test_closing.py::TestConfirm::test_it_takes_two_people"),
    "Une fois confirmé et le jour venu, ce qui est supprimé ne se retrouve plus.": (
        "tests/provisioning/test_closing.py::TestWhole::test_everything_goes_in_order_and_the_deployment_is_closed"
    ),
    "Sans copie, ce qui est supprimé est perdu pour tout le monde.": (
        "tests/provisioning/test_closing.py::TestWhole::test_everything_goes_in_order_and_the_deployment_is_closed"
    ),
    "Elle se télécharge pendant … jours, puis elle est effacée.": (
        "tests/provisioning/test_exporting.py::TestExpire::test_a_copy_is_gone_after_seven_days"
    ),
    "Elle sera supprimée le … avec ses messages, et son adresse ne pourra pas être redonnée pendant six mois.": (
        "tests/provisioning/test_changes.py::TestRemove::test_it_shuts_now_goes_after_thirty_days_and_its_name_rests_six_months"
    ),
    "Aujourd’hui, la boîte se ferme : plus rien n’y arrive, plus personne n’y entre, rien n’est effacé.": (
        "tests/provisioning/test_changes.py::TestRemove::test_it_shuts_now_goes_after_thirty_days_and_its_name_rests_six_months"
    ),
    "Dans … jours, elle est supprimée avec ses messages.": (
        "tests/provisioning/test_changes.py::TestRemove::test_it_shuts_now_goes_after_thirty_days_and_its_name_rests_six_months"
    ),
    "… décide et vous répond ici.": ("tests/provisioning/test_quotas.py::TestMore::test_what_is_granted_is_pushed"),
    "Rien n’est supprimé ; chaque suppression se décide ensuite, à deux.": (
        "tests/provisioning/test_dead_letters.py::TestAbandon::test_stops_building_and_deletes_nothing"
    ),
}
