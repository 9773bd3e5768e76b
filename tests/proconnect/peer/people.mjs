// Who one may be at the peer. The keys are those of the demonstration's people; the rest is the peer's own.

export const SCOPES = [
  'openid', 'given_name', 'usual_name', 'email', 'uid', 'siret', 'idp_id', 'roles', 'organization_label',
];
export const ACR_VALUES = ['eidas0', 'eidas0-mfa', 'eidas1', 'eidas1-mfa', 'eidas2', 'eidas3'];

const TERRITORIAL = ['agent_public', 'agent_public_territorial'];

export const PEOPLE = {
  secretaire: { given_name: 'Nolwenn', usual_name: 'Kerbrat', email: 'mairie@peer.example', siret: '21560196400012' },
  collegue: { given_name: 'Aodrén', usual_name: "L’Hour-O'Neill", email: 'accueil@peer.example', siret: '21560196400012' },
  prestataire: { given_name: 'Paul', usual_name: 'Privé', email: 'paul@entreprise.example', siret: '92000002300017', roles: [] },
  'niveau-faible': { given_name: 'Ève', usual_name: 'Bas', email: 'eve@peer.example', siret: '21560196400012', acr: 'eidas0' },
  'anct-instructeur': {
    given_name: 'Inès', usual_name: 'Anct', email: 'ines@operateur.example', siret: '13002603200016',
    roles: ['agent_public', 'agent_public_etat'], acr: 'eidas1-mfa', amr: ['pwd', 'otp', 'mfa'],
  },
  'operateur-courriel': {
    given_name: 'Marc', usual_name: 'Courriel', email: 'marc@operateur.example', siret: '13002603200016',
    roles: ['agent_public', 'agent_public_etat'], acr: 'eidas1-mfa', amr: ['pwd', 'mail', 'mfa'],
  },
};

/** The claims of one of them, with the SIRET and the level that the form may change. */
export function claimsOf(name, form) {
  const one = PEOPLE[name];
  if (!one) throw new RangeError('nobody bears this name');
  return {
    roles: TERRITORIAL,
    acr: 'eidas1',
    amr: ['pwd'],
    idp_id: 'peer-home',
    uid: `peer-${name}`,
    organization_label: 'Peer',
    ...one,
    ...(form.get('siret') && { siret: form.get('siret') }),
    ...(form.get('acr') && { acr: form.get('acr') }),
  };
}
