// What the sample on Atlassian's page about cookie authentication does: log
// in, take the cookie from the body, search. Usage: BASE USER PASSWORD
const Client = require('node-rest-client').Client;
const client = new Client();
const [base, username, password] = process.argv.slice(2);

client.post(base + '/rest/auth/1/session', {
  data: {username, password},
  headers: {'Content-Type': 'application/json'},
}, (data, response) => {
  // Unless the content type is one it knows, the client hands out a Buffer.
  console.log('login', response.statusCode, Buffer.isBuffer(data) ? 'unparsed' : typeof data);
  if (response.statusCode !== 200) return;
  client.post(base + '/rest/api/2/search', {
    headers: {cookie: data.session.name + '=' + data.session.value, 'Content-Type': 'application/json'},
    data: {jql: 'type=Bug AND status=Closed'},
  }, (found, response) => {
    console.log('search', response.statusCode, found.issues.length === found.total && found.total > 0);
  });
});
