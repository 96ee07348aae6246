// Drives jira-connector by cookie and by Basic. Usage: BASE USER PASSWORD FILE UNKNOWN-USER
const Jira = require('jira-connector');
const request = require('request');
const [base, username, password, file, nobody] = process.argv.slice(2);
const url = new URL(base);
const where = {
  host: url.hostname, port: url.port, protocol: 'http',
  path_prefix: url.pathname.replace(/\/?$/, '/'),
};

// status tells how a call ended: the client rejects with the answer as JSON.
const status = (promise) => promise.then(() => 'ok', (err) => JSON.parse(err).statusCode);

async function tracker(how, jira) {
  console.log(how, 'myself', (await jira.myself.getMyself()).authType);
  console.log(how, 'issue', (await jira.issue.getIssue({issueKey: 'TEST-3'})).key);
  const found = await jira.search.search({jql: 'type=Bug AND status=Closed'});
  console.log(how, 'search', found.total > 0 && found.issues.length === found.total);
  // The client sends X-Atlassian-Token: nocheck.
  console.log(how, 'attachment', await status(jira.issue.addAttachment({issueKey: 'TEST-3', filename: file})));
  console.log(how, 'comment', await status(jira.issue.addComment({issueKey: 'TEST-3', body: 'by jira-connector'})));
}

async function main() {
  const byCookie = new Jira({...where, cookie_jar: request.jar()});
  console.log('before', await status(byCookie.auth.currentUser()));
  await byCookie.auth.login({username, password});
  console.log('current user', (await byCookie.auth.currentUser()).name);
  await tracker('cookie', byCookie);
  console.log('logout', await status(byCookie.auth.logout()));
  console.log('after', await status(byCookie.auth.currentUser()));

  await tracker('basic', new Jira({...where, basic_auth: {username, password}}));
  const wrong = new Jira({...where, basic_auth: {username: nobody, password: 'pw-wrong'}});
  console.log('wrong', await status(wrong.myself.getMyself()));
}

main().catch((err) => { console.error(err); process.exit(1); });
