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
    "Vous pouvez en transmettre une nouvelle, ou contester cette décision dans les deux mois en écrivant à ….": (
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
    "Cette version du logiciel n’efface d’elle-même que les documents d’habilitation et les sessions.": (
        "tests/accounts/test_mandate_desk.py::TestDocument"
        "::test_the_original_goes_six_months_after_the_decision_and_its_digest_stays"
    ),
    "Écrivez à … : la réponse doit vous parvenir dans le mois.": PERSON,
}
